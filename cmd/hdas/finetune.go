package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"hdas/internal/filekind"
	"hdas/model"
	"hdas/run"
)

func (p *program) finetune() *cobra.Command {
	var t trainer
	var f importer
	var probe, ema bool
	c := &cobra.Command{
		Use: "finetune RUN|CHECKPOINT|FILE", Short: "Train a trained network further on other images",
		Long: `Train a network further, from the weights of a run, of a checkpoint, or of a file
of another program, which --genotype and --preset describe as in hdas import. The
genotype, the sizes, the size of the images and their normalisation are those of
the checkpoint. The classifier is made anew, unless the classes have the same names.
What was taken, made anew and left out is printed and kept in init.json.

Without --config, the configuration is finetune: a folder with a folder of photos
for each class; only the new classifier learns in the first epochs, then the whole
network, with smaller learning rates for earlier cells. It is chosen for some
twenty photos of each class and more. A configuration of your own says the same by
train.init.

With --probe only a linear classifier learns, from the features of each image, which
are computed once: a baseline in a small part of the time.`,
		Example: `  hdas finetune runs/trained --data-dir photos --out runs/photos
  hdas finetune imagenet_model.pth.tar --genotype DARTS_V2 --preset imagenet --data-dir photos --out runs/photos
  hdas finetune runs/trained --data-dir photos --probe --out runs/probe`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if t.resume == (len(a) == 1) {
				return usageError{errors.New("name either a network to train further, or a training to resume by --resume --out DIR")}
			}
			in := func(f func(m member) error) error { return p.inProcesses(c, t.n, &t.many, "", &t.place, t.dry, f) }
			if t.resume {
				return in(func(m member) error { return p.runTraining(c, &t, m, "finetune", nil) })
			}
			if !c.Flags().Changed("config") {
				t.File = "finetune"
			}
			if probe {
				t.Set = append([]string{"train.probe=true", "train.epochs=100", "train.lr=0.01"}, t.Set...) // --set wins
			}
			if ema {
				t.Set = append(t.Set, "train.init_ema=true")
			}
			if f.genotype != "" {
				return in(func(m member) error { return p.finetuneImported(c, &t, f, m, a[0]) })
			}
			if err := ownCheckpoint(a[0]); err != nil {
				return usageError{err}
			}
			t.Set = append(t.Set, fmt.Sprintf("train.init=%q", a[0]))
			return in(func(m member) error { return p.runTraining(c, &t, m, "finetune", nil) })
		},
	}
	p.trainingFlags(c, &t)
	f.originFlags(c)
	emaFlag(c, &ema)
	c.Flags().BoolVar(&probe, "probe", false, "train a linear classifier on the features of the frozen network, computed once")
	return c
}

// ownCheckpoint returns an error that says what is missing if a file holds the weights of another program.
func ownCheckpoint(path string) error {
	_, err := model.ReadStart(path)
	if err == nil {
		return nil
	}
	foreign := slices.Contains([]string{".pt", ".pth", ".tar", ".bin"}, filepath.Ext(path))
	if what, _ := run.ContentOf(path); foreign && !errors.Is(err, fs.ErrNotExist) || what == run.Tensors {
		return fmt.Errorf("%s is no checkpoint of this program; if it holds the weights of another one, say of which network: --genotype NAME, and --preset imagenet unless it is for CIFAR", path)
	}
	return err
}

// convert writes a temporary checkpoint with the weights of a file of another program.
func (f *importer) convert(file string) (imported string, err error) {
	if m, err := model.ReadStart(file); err == nil {
		return "", usageError{fmt.Errorf("%s is a checkpoint of this program, which holds its genotype, %s; leave --genotype out", file, m.Genotype.Name)}
	}
	o, err := f.origin()
	if err != nil {
		return "", usageError{err}
	}
	folder, err := os.MkdirTemp("", "hdas-")
	if err != nil {
		return "", err
	}
	imported = filepath.Join(folder, run.ImportFile)
	if _, err = model.ImportTo(imported, file, f.key, o); err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	return imported, nil
}

// finetuneImported trains further from a file of another program, whose checkpoint is kept in the folder of the run.
func (p *program) finetuneImported(c *cobra.Command, t *trainer, f importer, m member, file string) error {
	imported, err := f.convert(file)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(imported))
	start := imported
	if begun := filepath.Join(t.out, run.ImportFile); t.out != "" && sameFile(begun, imported) { // the same command has begun the run
		start = begun
	}
	t.Set = append(t.Set, fmt.Sprintf("train.init=%q", start))
	kept := ""
	err = p.runTraining(c, t, m, "finetune", func(d *run.Dir) error {
		data, err := filekind.Read(imported, 1<<40)
		if err != nil {
			return err
		}
		kept = d.Path(run.ImportFile)
		t.config.Train.Init = kept
		return d.WriteFile(run.ImportFile, data)
	})
	if err != nil && kept != "" && !run.Begun(filepath.Dir(kept)) { // the folder can be used again
		os.Remove(kept)
	}
	return err
}

// sameFile reports whether two files can be read and have the same content.
func sameFile(a, b string) bool {
	x, err := filekind.Read(a, 1<<40)
	y, other := filekind.Read(b, 1<<40)
	return err == nil && other == nil && bytes.Equal(x, y)
}
