// Package model builds trained networks and loads and saves them: as checkpoints of this program, and as
// files of weights of other programs.
package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"hdas/datasets"
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// Description is the description of a network in a checkpoint. With the genotype it suffices to build
// the network.
type Description struct {
	Macro   plan.Macro    `json:"macro"`
	Image   layer.Shape   `json:"image"`
	Dataset string        `json:"dataset"` // name of the data set that it was trained on
	Data    datasets.Spec `json:"data"`    // settings that open the data set again
	Classes []string      `json:"classes"`
	Mean    []float64     `json:"mean"` // per-channel mean for the normalisation of images, with pixels in [0,1]
	Std     []float64     `json:"std"`
}

// Describe returns the description of a network for the images and classes of a data set.
func Describe(m plan.Macro, info datasets.Info, data datasets.Spec) Description {
	m.Classes = int64(len(info.Classes))
	return Description{Macro: m, Dataset: info.Name, Data: data, Classes: info.Classes, Mean: info.Mean, Std: info.Std,
		Image: layer.Shape{C: int64(info.Channels), H: int64(info.Height), W: int64(info.Width)}}
}

// Plan returns the plan (shapes and costs) of the network of genotype g with this description.
func (d Description) Plan(g genotype.Genotype) (plan.Network, error) {
	return plan.New(g, d.Macro, d.Image, genotype.Candidates{})
}

// Spec returns the settings of the data set that the network was trained on.
func (d Description) Spec() datasets.Spec {
	if d.Data.Name == "" { // an older checkpoint stores the name only
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

// New returns a network with newly initialised weights. It runs inside torch.Do; the caller frees it.
func New(g genotype.Genotype, d Description, o torch.Options) (*Model, error) {
	network, err := d.Plan(g)
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

// Logits returns the logits (N,Classes) for images (N,C,H,W), without those of the auxiliary head.
func (m *Model) Logits(c *nn.Ctx, images torch.Tensor) torch.Tensor {
	logits, _ := m.Net.Forward(c, images)
	return logits
}

// Kind is the kind of a training's checkpoints (run.Meta).
const Kind = "training"

// Checkpoint returns the network's part of a checkpoint: kind, genotype, description and weights. The
// weights still belong to the model. A training adds the rest. It runs inside torch.Do.
func (m *Model) Checkpoint() (run.Checkpoint, error) {
	var params []nn.Param
	for p := range m.Weights.All() {
		params = append(params, p)
	}
	return checkpoint(m.Genotype, m.Description, params)
}

func checkpoint(g genotype.Genotype, d Description, params []nn.Param) (run.Checkpoint, error) {
	var text bytes.Buffer
	if err := g.Encode(&text); err != nil {
		return run.Checkpoint{}, err
	}
	network, err := json.Marshal(d)
	if err != nil {
		return run.Checkpoint{}, err
	}
	return run.Checkpoint{
		Meta:  run.Meta{Kind: Kind, Genotype: text.String(), Network: network},
		State: map[string][]nn.Param{weightsSection: params},
	}, nil
}

// weightsSection is the section of a checkpoint with the network's parameters.
const weightsSection = "weights"

// AverageSection is the section of a checkpoint with the averages of the network's parameters, if the training has
// any (train.ema).
const AverageSection = "ema"

// Restore copies the weights of a checkpoint into the model. It runs inside torch.Do.
func (m *Model) Restore(c run.Loaded) error { return m.Weights.Load(c.State[weightsSection]) }

// Load returns the network of a training's checkpoint. path is a checkpoint file or a run folder, of
// which the newest checkpoint is loaded. It runs inside torch.Do; the caller frees the model.
func Load(path string, o torch.Options) (*Model, run.Meta, error) { return load(path, false, o) }

// LoadAveraged is Load for the averaged weights of the checkpoint (train.ema).
func LoadAveraged(path string, o torch.Options) (*Model, run.Meta, error) { return load(path, true, o) }

func load(path string, averaged bool, o torch.Options) (*Model, run.Meta, error) {
	file, c, err := read(path, averaged)
	if err != nil {
		return nil, c.Meta, err
	}
	m, err := rebuild(c, o)
	if err != nil {
		return nil, c.Meta, fmt.Errorf("%s: %w", file, err)
	}
	return m, c.Meta, nil
}

// read returns the checkpoint of a training and the path of its file; with averaged, the averaged weights are in
// the place of the weights.
func read(path string, averaged bool) (file string, c run.Loaded, err error) {
	if file, err = run.Find(path); err != nil {
		return file, c, err
	}
	if c, err = run.Read(file); err == nil {
		err = trainedNetwork(file, c.Meta)
	}
	if err == nil && averaged {
		err = average(file, c)
	}
	return file, c, err
}

// average puts the averaged weights of a checkpoint in the place of its weights.
func average(file string, c run.Loaded) error {
	means, ok := c.State[AverageSection]
	if !ok {
		return fmt.Errorf("%s has no averaged weights; a training keeps them with train.ema.decay, such as 0.999", file)
	}
	c.State[weightsSection] = means
	return nil
}

// trainedNetwork returns an error if a checkpoint is not that of a training.
func trainedNetwork(file string, m run.Meta) error {
	if m.Kind != Kind {
		return fmt.Errorf("%s is the checkpoint of a %s, which holds no trained network; train its genotype first", file, m.Kind)
	}
	return nil
}

// DescriptionOf returns the genotype and the description of the network of a training's checkpoint.
func DescriptionOf(m run.Meta) (g genotype.Genotype, d Description, err error) {
	if g, err = genotype.Decode(strings.NewReader(m.Genotype)); err == nil {
		err = json.Unmarshal(m.Network, &d)
	}
	if d.Mean == nil { // an older checkpoint does not store it
		if info, err := datasets.Describe(d.Dataset); err == nil {
			d.Mean, d.Std = info.Mean, info.Std
		}
	}
	if err == nil && d.Data.Name != "" {
		if err = d.Data.Validate(); err == nil && datasets.OfFiles(d.Data.Name) && int64(d.Data.View().Size) != d.Image.W {
			err = fmt.Errorf("the checkpoint has images of %v and of %d pixels", d.Image, d.Data.View().Size)
		}
	}
	return g, d, err
}

func rebuild(c run.Loaded, o torch.Options) (*Model, error) {
	g, d, err := DescriptionOf(c.Meta)
	if err != nil {
		return nil, err
	}
	if err := d.check(g, c.State[weightsSection]); err != nil {
		return nil, err
	}
	m, err := New(g, d, o)
	if err != nil {
		return nil, err
	}
	if err := m.Restore(c); err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}
