package lab

import (
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/filekind"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/run"
)

// Described is the network of a run: of a training, or of the genotype that a search would find now.
type Described struct {
	Genotype genotype.Genotype
	Macro    plan.Macro
	Image    layer.Shape
	Kind     string // of the run: "search" or "training"
	Dataset  string
	State    Progress
}

// Progress says how many of its epochs a run has finished.
type Progress struct {
	Epoch  int  `json:"epoch"`
	Step   int  `json:"step,omitempty"` // steps of the epoch after that
	Epochs int  `json:"epochs"`         // 0: unknown, as of imported weights
	Done   bool `json:"done"`
}

// String returns "epoch 3 of 9", and within an epoch "step 7 of epoch 4 of 9".
func (p Progress) String() string {
	if p.Step > 0 {
		return fmt.Sprintf("step %d of epoch %d of %d", p.Step, p.Epoch+1, p.Epochs)
	}
	return fmt.Sprintf("epoch %d of %d", p.Epoch, p.Epochs)
}

// progressOf returns the progress of the run that saved a checkpoint.
func progressOf(m run.Meta) Progress {
	var c struct{ Search, Train struct{ Epochs int } }
	yaml.Unmarshal([]byte(m.Config), &c) // a configuration that cannot be read says no number
	return Progress{m.Epoch, m.Batch, c.Search.Epochs + c.Train.Epochs, m.Done}
}

// Describe returns the network of a checkpoint file, or of the newest checkpoint of a run folder. ok is false
// if path is neither.
func Describe(path string) (d Described, ok bool, err error) {
	file, err := run.Find(path)
	if err != nil || !isCheckpoint(file) {
		return d, false, nil
	}
	m, err := run.ReadMeta(file)
	if err != nil {
		return d, true, err
	}
	d.Kind, d.State = m.Kind, progressOf(m)
	if m.Kind == model.Kind {
		g, of, err := model.DescriptionOf(m)
		d.Genotype, d.Macro, d.Image, d.Dataset = g, of.Macro, of.Image, of.Dataset
		return d, true, err
	}
	if d.Genotype, err = genotype.Decode(strings.NewReader(m.Genotype)); err != nil {
		return d, true, fmt.Errorf("%s: %w", file, err)
	}
	c := configs.DefaultSearch(configs.CellSearch)
	if err := yaml.Unmarshal([]byte(m.Config), &c); err != nil {
		return d, true, fmt.Errorf("%s: %w", file, err)
	}
	d.Macro, d.Dataset = c.Network, c.Data.Name
	info, err := datasets.Describe(c.Data.Name)
	if err != nil { // the classes of a folder follow from its files
		info.Channels, info.Height = 3, c.Data.View().Size
	}
	if m.Basis != nil {
		info.Classes = m.Basis.Classes
	}
	if c.Data.Size > 0 {
		info.Height = c.Data.Size
	}
	side := int64(info.Height)
	d.Image = layer.Shape{C: int64(info.Channels), H: side, W: side}
	d.Macro.Classes = max(1, int64(len(info.Classes)))
	return d, true, nil
}

// isCheckpoint reports whether a file begins as a checkpoint does.
func isCheckpoint(file string) bool {
	f, _, err := filekind.Open(file, math.MaxInt64)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 16)
	n, _ := f.Read(head)
	return filekind.IsSafetensors(head[:n])
}
