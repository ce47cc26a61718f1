package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hdas/internal/filekind"
	"hdas/models/genotype"
	"hdas/run"
)

// Holding says what a folder holds that a command has begun there. The same command goes on with it.
type Holding struct {
	Run        bool // a search or a training
	Seeds      int  // of a search or a training with several seeds
	Comparison bool
}

// HeldIn returns what a folder holds, nothing if there is no such folder.
func HeldIn(folder string) (h Holding, err error) {
	if h.Seeds, err = BegunSeeds(folder); err != nil {
		return h, err
	}
	_, missing := run.Find(folder)
	_, unplanned := os.Stat(filepath.Join(folder, planFile))
	h.Run, h.Comparison = missing == nil, unplanned == nil
	return h, nil
}

// String returns what is held in words.
func (h Holding) String() string {
	switch {
	case h.Seeds > 0:
		return fmt.Sprintf("runs of %d seeds", h.Seeds)
	case h.Comparison:
		return "a comparison"
	case h.Run:
		return "a run"
	}
	return "nothing"
}

// sameGenotype returns an error if the run in a folder is that of another genotype.
func sameGenotype(d *run.Dir, g genotype.Genotype) error {
	if h, err := HeldIn(d.Path()); err != nil || h == (Holding{}) {
		return err
	}
	was, err := filekind.Read(d.Path(run.GenotypeFile), mostPlan)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return sameText(d, was, g)
}

// same returns an error if the comparison in a folder is not that of the plan.
func (p ComparePlan) same(d *run.Dir) error {
	is, err := json.Marshal(p)
	if err != nil {
		return err
	}
	was, err := filekind.Read(d.Path(planFile), mostPlan)
	if err != nil {
		return err
	}
	if !bytes.Equal(was, is) {
		return fmt.Errorf("%s was begun with something else: %s, not %s; choose another folder with --out", d.Path(), was, is)
	}
	for _, g := range p.networks {
		was, err := filekind.Read(d.Path(g.Name+".yaml"), mostPlan)
		if err == nil {
			err = sameText(d, was, g)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sameText returns an error if a genotype is not the one with that text.
func sameText(d *run.Dir, was []byte, g genotype.Genotype) error {
	var is bytes.Buffer
	if err := g.Encode(&is); err != nil {
		return err
	}
	if bytes.Equal(was, is.Bytes()) {
		return nil
	}
	of := "another genotype of the same name"
	if old, err := genotype.Decode(bytes.NewReader(was)); err == nil && old.Name != g.Name {
		of = old.Name
	}
	return fmt.Errorf("%s was begun with %s, not with this %s; choose another folder with --out", d.Path(), of, g.Name)
}
