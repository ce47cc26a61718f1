package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"hdas/datasets"
	"hdas/internal/fetch"
	"hdas/lab"
	"hdas/setting"
)

// downloads lists the data sets that hdas data get downloads.
var downloads = []string{"cifar10", "cifar100"}

// cifarURL is the address at which CIFAR-10 and CIFAR-100 are published.
const cifarURL = "https://www.cs.toronto.edu/~kriz/"

func (p *program) data() *cobra.Command {
	c := &cobra.Command{
		Use: "data get|check", Short: "Download data sets, and check what is there",
		Args: commandOf("data"),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.dataGet(), p.dataCheck())
	return c
}

// got is the output of "data get".
type got struct {
	Dataset string `json:"dataset"`
	File    string `json:"file"`
	MD5     string `json:"md5"`
	Bytes   int64  `json:"bytes"`
	Already bool   `json:"already"` // nothing had to be downloaded
}

func (p *program) dataGet() *cobra.Command {
	var dir, url, form string
	c := &cobra.Command{
		Use: "get cifar10|cifar100", Short: "Download a data set's published archive",
		Long: `Download the published archive of CIFAR-10 or CIFAR-100 to the data folder and
verify its published checksum. An interrupted download is resumed. The archive
need not be unpacked.

ImageNet must be downloaded from image-net.org, after agreeing to its terms. Put
ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz
into the data folder; they need not be unpacked, either.`,
		Example: "  hdas data get cifar10\n  hdas data get cifar100 --url https://mirror.example/cifar/",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			archives := datasets.Published(a[0])
			if archives == nil {
				return usageError{fmt.Errorf("%q cannot be downloaded by this command; cifar10 and cifar100 can%s", a[0], setting.Meant(a[0], downloads))}
			}
			at := slices.IndexFunc(archives, func(a datasets.Archive) bool { return a.Form == form })
			if at < 0 {
				return usageError{fmt.Errorf("--form %q %s", form, setting.Unknown(form, []string{"binary", "python"}))}
			}
			dir = datasets.Folder(dir)
			archive := archives[at]
			f := fetch.File{URL: strings.TrimSuffix(url, "/") + "/" + archive.Name, Path: filepath.Join(dir, archive.Name), MD5: archive.MD5}
			progress, end := bytesBar(p.err, archive.Name)
			err := fetch.Getter{Progress: progress}.Get(c.Context(), f)
			end()
			r := got{Dataset: a[0], File: f.Path, MD5: f.MD5, Already: errors.Is(err, fetch.ErrThere)}
			if err != nil && !r.Already {
				return err
			}
			if info, err := os.Stat(f.Path); err == nil {
				r.Bytes = info.Size()
			}
			return p.print(r, func(w io.Writer) {
				how := "downloaded"
				if r.Already {
					how = "there already"
				}
				fmt.Fprintf(w, "%s: %s, %.1f MB, MD5 %s as published\n", r.File, how, float64(r.Bytes)/1e6, r.MD5)
			}, step{command("data", "check", dir), "read all of it"})
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "data-dir", "", "folder to download to; default $HDAS_DATA, or data")
	f.StringVar(&url, "url", cifarURL, "address of the folder with the archive: the publisher's, or a mirror")
	f.StringVar(&form, "form", "binary", "version of the archive: binary or python")
	return c
}

// bytesBar shows the progress of a download if w is a terminal.
func bytesBar(w io.Writer, name string) (observe func(done, total int64), end func()) {
	f, ok := terminal(w)
	if !ok {
		return nil, func() {}
	}
	p := mpb.New(mpb.WithOutput(f), mpb.WithWidth(48))
	b := p.AddBar(0, mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(
		decor.CountersKibiByte("% .1f / % .1f"), decor.Name(" "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
	return func(done, total int64) {
			b.SetTotal(max(total, done+1), false)
			b.SetCurrent(done)
		}, func() {
			b.SetTotal(-1, true)
			p.Wait()
		}
}

func (p *program) dataCheck() *cobra.Command {
	var s datasets.Spec
	c := &cobra.Command{
		Use: "check [DIR]", Short: "Read a whole data set: classes, counts, mean, standard deviation, damage",
		Long: `Read all images of the data sets in a folder (CIFAR-10, CIFAR-100, ImageNet, or your
own class folders), verify the published checksums of archives, and print classes,
counts, mean and standard deviation. The exit code is 1 if something is missing
or damaged, there are fewer than two classes, or a part has no images.`,
		Example: "  hdas data check\n  hdas data check photos",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) > 0 {
				if c.Flags().Changed("data-dir") {
					return usageError{fmt.Errorf("two folders: %q and --data-dir %q; name one", a[0], s.Dir)}
				}
				s.Dir = a[0]
			}
			s.Dir = datasets.Folder(s.Dir)
			names := []string{s.Name}
			if s.Name == "" {
				names = lab.DataIn(s.Dir)
			}
			var list []lab.Inspection
			var faults []error
			for _, name := range names {
				s := s
				s.Name = name
				if err := s.Validate(); err != nil {
					return usageError{err}
				}
				i, err := lab.Inspect(c.Context(), s, func(split string, images int) (step, end func()) {
					return countBar(p.err, name+" "+split, images)
				})
				if err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", name, err))
				}
				list = append(list, i)
			}
			if err := p.print(list, func(w io.Writer) {
				for _, i := range list {
					writeInspection(w, i)
				}
			}, afterCheck(list, s.Dir, faults)...); err != nil {
				return err
			}
			return errors.Join(faults...)
		},
	}
	f := c.Flags()
	dataFlag(f, &s.Dir)
	f.StringVar(&s.Name, "name", "", "the data set: "+strings.Join(datasets.Names(), ", ")+"; default: all that are there")
	f.IntVar(&s.Size, "size", 0, "of image files: the side at which they are seen; default 224")
	f.Float64Var(&s.TestFraction, "test-fraction", 0, "of a folder: the share kept for testing; default a fifth")
	f.Uint64Var(&s.SplitSeed, "split-seed", 0, "of a folder: the seed of that split")
	return c
}

// countBar shows the number of images read so far if w is a terminal.
func countBar(w io.Writer, name string, n int) (step, end func()) {
	f, ok := terminal(w)
	if !ok {
		return nil, func() {}
	}
	p := mpb.New(mpb.WithOutput(f), mpb.WithWidth(48))
	b := p.AddBar(int64(n), mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(decor.CountersNoUnit("%d / %d "), decor.AverageETA(decor.ET_STYLE_GO)))
	return b.Increment, func() {
		b.Abort(false)
		p.Wait()
	}
}

func writeInspection(w io.Writer, i lab.Inspection) {
	fmt.Fprintf(w, "%s in %s\n", i.Dataset, i.Folder)
	for _, path := range i.Verified {
		fmt.Fprintf(w, "  %s has the published checksum\n", path)
	}
	for _, split := range []string{datasets.Train, datasets.Test} {
		t, ok := i.Splits[split]
		if !ok {
			continue
		}
		least, most := slices.Min(t.Counts), slices.Max(t.Counts)
		fmt.Fprintf(w, "  %-6s%d images of %d classes, %d to %d of each", split, t.Images, len(t.Classes), least, most)
		fmt.Fprintf(w, "; mean %s, std %s\n", numbers(t.Mean), numbers(t.Std))
		if len(t.Classes) <= 20 {
			for k, class := range t.Classes {
				fmt.Fprintf(w, "    %-24s%d\n", plain(class), t.Counts[k])
			}
		}
		for _, d := range t.Damaged {
			fmt.Fprintf(w, "    damaged: %s\n", d)
		}
	}
}

// numbers formats a list as --set data.mean takes it.
func numbers(list []float64) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, fmt.Sprintf("%.4f", v))
	}
	return "[" + strings.Join(texts, ",") + "]"
}
