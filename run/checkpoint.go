// Package run keeps what a search or a training leaves: its folder, checkpoints, records, and the
// loop that writes them.
package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hdas/torch"
	"hdas/torch/nn"
)

// Checkpoint is enough to go on from, and to rebuild the network from, alone.
type Checkpoint struct {
	Meta  Meta
	State map[string][]nn.Param // by section; the tensors belong to whoever made them
}

// Loaded is a checkpoint read back.
type Loaded struct {
	Meta  Meta
	State map[string]map[string]torch.Tensor // by section and name; on the CPU, of the innermost scope
}

// Meta is what a checkpoint says besides its tensors.
type Meta struct {
	Version    int               `json:"version"`
	Kind       string            `json:"kind"`              // "search" or "training"
	Config     string            `json:"config"`            // the whole configuration, YAML
	Genotype   string            `json:"genotype"`          // YAML; of a search, what it would derive now
	Network    json.RawMessage   `json:"network,omitempty"` // what rebuilds the network, besides the genotype
	Epoch      int               `json:"epoch"`             // under way or next, from 0
	Batch      int               `json:"batch"`             // of that epoch, to go on from, from 0
	Done       bool              `json:"done"`              // nothing is left to run
	Seed       uint64            `json:"seed"`
	Generators map[string][]byte `json:"generators"` // by device
	Best       float64           `json:"best"`       // of a search: the best supernet's top-1
	BestEpoch  int               `json:"best_epoch"` // its epoch, from 0
}

// version is that of the checkpoints written here.
const version = 1

// metaKey is where a file's texts hold the Meta.
const metaKey = "hdas"

// Write writes a checkpoint as one safetensors file, whose tensors are named section/name. It runs
// inside torch.Do.
func Write(path string, c Checkpoint) error {
	c.Meta.Version = version
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return err
	}
	var tensors []nn.Param
	for _, section := range slices.Sorted(maps.Keys(c.State)) {
		for _, p := range c.State[section] {
			tensors = append(tensors, nn.Param{Name: section + "/" + p.Name, Tensor: p.Tensor})
		}
	}
	return WriteTensors(path, tensors, map[string]string{metaKey: string(meta)})
}

// Read reads a checkpoint. It runs inside torch.Do.
func Read(path string) (Loaded, error) {
	tensors, texts, err := ReadTensors(path)
	if err != nil {
		return Loaded{}, err
	}
	text, ok := texts[metaKey]
	if !ok {
		return Loaded{}, fmt.Errorf("%s is a safetensors file, but no checkpoint of this program", path)
	}
	c := Loaded{State: map[string]map[string]torch.Tensor{}}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	var v struct{ Version int }
	if json.Unmarshal([]byte(text), &v); v.Version != version {
		return Loaded{}, fmt.Errorf("%s is a checkpoint of version %d; this program reads version %d", path, v.Version, version)
	}
	if err := d.Decode(&c.Meta); err != nil {
		return Loaded{}, fmt.Errorf("%s: %w", path, err)
	}
	for name, t := range tensors {
		section, name, ok := strings.Cut(name, "/")
		if !ok {
			return Loaded{}, fmt.Errorf("%s: tensor %q is in no section", path, section)
		}
		if c.State[section] == nil {
			c.State[section] = map[string]torch.Tensor{}
		}
		c.State[section][name] = t
	}
	return c, nil
}
