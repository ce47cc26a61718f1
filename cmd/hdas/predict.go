package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/configs"
	"hdas/lab"
	"hdas/predict"
	"hdas/setting"
)

// precisions lists the precisions of a prediction.
var precisions = []string{"float32", "float64"}

// predictor holds the flags of predict.
type predictor struct {
	common     configs.Common
	top, batch int
	input, out string
	ema        bool
}

func (p *program) predict() *cobra.Command {
	var f predictor
	c := &cobra.Command{
		Use: "predict RUN|CHECKPOINT IMAGE|FOLDER...", Short: "Classify images with a trained network",
		Long: `Print the most likely classes of images, and of all images in folders, with their
probabilities. Images are resized and normalised as in the evaluation of the
network: the whole image to the size of the network; or, with the imagenet preset
or a network trained on your own images, the shorter side is resized and the
center is cropped. Files that cannot be read are named, the others are
classified, and the exit code is 1.

With --input, the images are the tensor "input" (N,C,H,W), already normalised, of
a safetensors file (floating-point numbers, none of them NaN), and the tensor "logits" (N,classes) is written to the
safetensors file of -o.`,
		Example: `  hdas predict runs/trained photo.jpg photos/ --top 3
  hdas predict darts.safetensors --input batch.safetensors -o logits.safetensors --precision float64`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if err := f.check(c, a[1:]); err != nil {
				return usageError{err}
			}
			if f.input != "" {
				if err := logits.may(f.out, a[0], f.input); err != nil {
					return usageError{err}
				}
			}
			m, free, err := lab.Load(a[0], f.ema, f.common)
			if err != nil {
				return err
			}
			defer free()
			by := predict.Predictor{Model: m, Batch: f.batch, Top: f.top}
			if f.input != "" {
				return p.predictTensor(c.Context(), by, f)
			}
			return p.predictImages(c.Context(), by, a[1:])
		},
	}
	f.flags(c)
	return c
}

func (f *predictor) flags(c *cobra.Command) {
	s := c.Flags()
	s.IntVar(&f.top, "top", 5, "number of classes to print for each image")
	s.IntVar(&f.batch, "batch", 32, "images in a batch")
	emaFlag(c, &f.ema)
	s.StringVar(&f.input, "input", "", "safetensors file with the images as a tensor")
	s.StringVarP(&f.out, "output", "o", "", "with --input: safetensors file to write")
	s.StringVar(&f.common.Precision, "precision", "float32", "float32 or float64")
	machineFlags(s, &f.common.Device, &f.common.Threads)
}

func (f *predictor) check(c *cobra.Command, images []string) error {
	switch {
	case !slices.Contains(precisions, f.common.Precision):
		return fmt.Errorf("--precision %q %s", f.common.Precision, setting.Unknown(f.common.Precision, precisions))
	case f.input != "" && len(images) > 0:
		return errors.New("give the images either as a tensor (--input) or as files, not both")
	case (f.input != "") != (f.out != ""):
		return errors.New("--input and -o need each other: the tensor of images to read, and the tensor of logits to write")
	case f.input == "" && len(images) == 0:
		return errors.New("no images given; name files or folders, or use --input; usage: " + c.UseLine())
	case f.input != "" && c.Flags().Changed("top"):
		return errors.New("--top is for images; with --input all logits are written")
	}
	return nil
}

// predictions is the output of predict.
type predictions struct {
	Images []predict.Image `json:"images"`
	Failed []failed        `json:"failed,omitempty"`
}

type failed struct {
	File  string `json:"file,omitempty"`
	Error string `json:"error"`
}

func (p *program) predictImages(ctx context.Context, by predict.Predictor, paths []string) error {
	if err := by.Check(); err != nil {
		return err
	}
	r := predictions{Images: []predict.Image{}}
	fail := func(file string, err error) {
		r.Failed = append(r.Failed, failed{file, err.Error()})
		printError(p.err, err)
	}
	files, faults := predict.Find(paths)
	for _, err := range faults {
		fail("", err)
	}
	err := by.Images(ctx, files, func(m predict.Image, err error) bool {
		if err != nil {
			fail(m.File, err)
		} else {
			r.Images = append(r.Images, m)
		}
		return true
	})
	if err == nil {
		err = p.print(r, r.write)
	}
	if err == nil && len(r.Failed) > 0 {
		err = fmt.Errorf("%d images classified, %d errors above", len(r.Images), len(r.Failed))
	}
	return err
}

func (r predictions) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, m := range r.Images {
		for i, g := range m.Guesses {
			file := m.File
			if i > 0 {
				file = ""
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", plain(file), plain(g.Class), percent(g.Probability))
		}
	}
	t.Flush()
}

func (p *program) predictTensor(ctx context.Context, by predict.Predictor, f predictor) error {
	shape, err := by.File(ctx, f.input, f.out)
	if err != nil {
		return err
	}
	return p.print(map[string]any{"file": f.out, "shape": shape}, func(w io.Writer) {
		fmt.Fprintf(w, "logits of %d images for %d classes\n%s\n", shape[0], shape[1], f.out)
	})
}
