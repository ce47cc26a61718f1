package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
	"hdas/predict"
	"hdas/serve"
)

func (p *program) serve() *cobra.Command {
	listen, ema := "127.0.0.1:8080", false
	common := configs.Common{Device: "auto", Precision: "float32"}
	top, o := 5, serve.Options{Batch: 32, Images: 64, Bytes: 64 << 20, Requests: 32}
	c := &cobra.Command{
		Use: "serve RUN|CHECKPOINT", Short: "Classify images for HTTP clients",
		Long: `Answer HTTP requests with the most likely classes of images, until Ctrl-C or
SIGTERM; then requests that have begun are finished.

  POST /         an image file as the body, or several as multipart/form-data
  GET /          a page on which photos can be dropped
  GET /healthz   the state of the server

The answer to a POST is {"images": [{"file", "guesses": [{"class", "index",
"probability"}]}]}; an image that cannot be decoded has "error" instead, and the
status is 422. Images are prepared as by hdas predict. Images that arrive while the
network is busy go through it together.

The server has no password and no encryption. It listens on this machine alone,
unless --listen names another address, as 0.0.0.0:8080 for all.`,
		Example: `  hdas serve runs/trained
  curl --data-binary @photo.jpg http://127.0.0.1:8080/
  curl -F image=@a.jpg -F image=@b.jpg http://127.0.0.1:8080/`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			return p.runServe(c.Context(), a[0], ema, listen, common, top, o)
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", listen, "address and port; port 0 chooses a free one")
	emaFlag(c, &ema)
	f.IntVar(&top, "top", top, "number of classes in the answer for each image")
	f.IntVar(&o.Batch, "batch", o.Batch, "largest number of images that go through the network together")
	f.IntVar(&o.Images, "max-images", o.Images, "largest number of images in a request")
	f.Int64Var(&o.Bytes, "max-bytes", o.Bytes, "largest size of a request")
	f.IntVar(&o.Requests, "max-requests", o.Requests, "requests that are answered at once; others get the status 503")
	machineFlags(f, &common.Device, &common.Threads)
	return c
}

func (p *program) runServe(ctx context.Context, path string, ema bool, listen string, common configs.Common, top int, o serve.Options) error {
	m, free, err := lab.Load(path, ema, common)
	if err != nil {
		return err
	}
	defer free()
	by := predict.Predictor{Model: m, Batch: o.Batch, Top: top}
	if err := by.Check(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; name another address or port with --listen", listen, errors.Unwrap(err))
	}
	o.Name, o.Classes = m.Genotype.Name, len(m.Classes)
	fmt.Fprintf(p.err, "serving %s, %d classes, on http://%s/; Ctrl-C stops\n", plain(o.Name), o.Classes, l.Addr())
	if !serve.Loopback(l) {
		fmt.Fprintln(p.err, "it can be reached from other machines, without a password")
	}
	if err := serve.New(by, o).Run(ctx, l); err != nil {
		return err
	}
	fmt.Fprintln(p.err, "stopped")
	return nil
}
