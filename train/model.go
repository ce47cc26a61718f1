// Package train trains the network of a genotype, and rebuilds one from its checkpoint.
package train

import (
	"encoding/json"
	"fmt"
	"hdas/models/plan"
	"strings"

	"hdas/datasets"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// Description is what a checkpoint says of its network besides the genotype.
type Description struct {
	Macro   plan.Macro    `json:"macro"`
	Image   layer.Shape   `json:"image"`
	Dataset string        `json:"dataset"` // that it was trained on, by name
	Data    datasets.Spec `json:"data"`    // how to open it again
	Classes []string      `json:"classes"`
	Mean    []float64     `json:"mean"` // of each channel, by which its images are normalised, pixels being in [0,1]
	Std     []float64     `json:"std"`
}

// Spec is the data set that the network was trained on.
func (d Description) Spec() datasets.Spec {
	if d.Data.Name == "" { // of a checkpoint that says no more
		d.Data.Name = d.Dataset
	}
	return d.Data
}

// Model is a network with its weights.
type Model struct {
	Description
	Genotype genotype.Genotype
	Net      *models.Network
	Weights  *nn.Store
}

// NewModel makes a network with fresh weights. It runs inside torch.Do; the caller frees it.
func NewModel(g genotype.Genotype, d Description, o torch.Options) (*Model, error) {
	network, err := plan.New(g, d.Macro, d.Image, genotype.Candidates{})
	if err != nil {
		return nil, err
	}
	m := &Model{Description: d, Genotype: g, Weights: nn.NewStore(o)}
	if m.Net, err = models.Build(m.Weights, network); err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

// Free frees the weights.
func (m *Model) Free() { m.Weights.Free() }

// Logits are the classes' (N,Classes) for images (N,C,H,W), without the auxiliary head's.
func (m *Model) Logits(c *nn.Ctx, images torch.Tensor) torch.Tensor {
	logits, _ := m.Net.Forward(c, images)
	return logits
}

// Load rebuilds the network of a training's checkpoint: a file, or the latest one of a run folder.
// It runs inside torch.Do; the caller frees the model.
func Load(path string, o torch.Options) (*Model, run.Meta, error) {
	file, c, err := read(path)
	if err != nil {
		return nil, c.Meta, err
	}
	m, err := rebuild(c, o)
	if err != nil {
		return nil, c.Meta, fmt.Errorf("%s: %w", file, err)
	}
	return m, c.Meta, nil
}

// read reads the checkpoint of a training, and returns its name.
func read(path string) (file string, c run.Loaded, err error) {
	if file, err = run.Find(path); err != nil {
		return file, c, err
	}
	if c, err = run.Read(file); err == nil && c.Meta.Kind != kind {
		err = fmt.Errorf("%s is the checkpoint of a %s, which holds no trained network; train its genotype first", file, c.Meta.Kind)
	}
	return file, c, err
}

// describe is what a checkpoint says of its network.
func describe(m run.Meta) (g genotype.Genotype, d Description, err error) {
	if g, err = genotype.Decode(strings.NewReader(m.Genotype)); err == nil {
		err = json.Unmarshal(m.Network, &d)
	}
	if d.Mean == nil { // written before it was part of a description
		if info, err := datasets.Describe(d.Dataset); err == nil {
			d.Mean, d.Std = info.Mean, info.Std
		}
	}
	return g, d, err
}

func rebuild(c run.Loaded, o torch.Options) (*Model, error) {
	g, d, err := describe(c.Meta)
	if err != nil {
		return nil, err
	}
	m, err := NewModel(g, d, o)
	if err != nil {
		return nil, err
	}
	if err := m.Weights.Load(c.State["weights"]); err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

// kind is what a training's checkpoints call themselves.
const kind = "training"
