// Package run manages the folder of a search or a training: its checkpoints and its records, one for
// each epoch. Its Loop runs the epochs and writes them.
package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf8"

	"hdas/internal/filekind"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights/safetensors"
)

// Checkpoint is the state of a run. It suffices to resume the run and to rebuild its network.
type Checkpoint struct {
	Meta  Meta
	State map[string][]nn.Param // tensors by section; whoever made the checkpoint owns them
}

// Loaded is a checkpoint that was read from a file.
type Loaded struct {
	Meta    Meta
	State   map[string]map[string]torch.Tensor // by section and name, without empty sections; on the CPU; they belong to the innermost scope
	Warning error                              // why a newer checkpoint could not be used; nil if there is none
}

// Meta is the part of a checkpoint that is not tensors.
type Meta struct {
	Version    int               `json:"version"`           // set by Write
	Kind       string            `json:"kind"`              // kind of run: "search" or "training"
	Config     string            `json:"config"`            // the whole configuration, YAML
	Genotype   string            `json:"genotype"`          // YAML; of a search, derived from the current parameters
	Network    json.RawMessage   `json:"network,omitempty"` // description of the network, besides the genotype
	Epoch      int               `json:"epoch"`             // in which to continue, from 0
	Batch      int               `json:"batch"`             // with which to continue in that epoch, from 0
	Done       bool              `json:"done"`              // the run has ended
	Seed       uint64            `json:"seed"`
	Generators map[string][]byte `json:"generators"` // states of the random number generators by device
	// RankGenerators are the same of the other processes of a training, ranks 1 and so on.
	RankGenerators []map[string][]byte `json:"rank_generators,omitempty"`
	Best           float64             `json:"best"`               // highest top-1: of a search that of the supernet, of a training that on its validation part
	BestEpoch      int                 `json:"best_epoch"`         // epoch of Best, from 0
	Progress       json.RawMessage     `json:"progress,omitempty"` // metrics of the current epoch so far
	Means          map[string]Mean     `json:"means,omitempty"`    // of the current epoch's steps so far, by the tags of scalars
	Basis          *Basis              `json:"basis,omitempty"`    // what the run was begun with; nil if unknown
}

// version is the version of the checkpoint format.
const version = 2

// The keys of the safetensors metadata of a checkpoint.
const (
	metaKey     = "hdas"          // the Meta, JSON
	checksumKey = "hdas-checksum" // checksum of the Meta and all tensors
)

// errVersion is the error for an intact checkpoint of another version.
var errVersion = errors.New("unknown version")

// Write writes a checkpoint to a safetensors file, in the way of WriteTensors. Tensors are named
// section/name. It runs inside torch.Do.
func Write(path string, c Checkpoint) error {
	write, err := c.encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Replace(path, write)
}

// encode checks a checkpoint and returns a function that writes it.
func (c Checkpoint) encode() (write func(io.Writer) error, err error) {
	c.Meta.Version = version
	if err := c.Meta.validate(); err != nil {
		return nil, err
	}
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return nil, err
	}
	var tensors []nn.Param
	for section, params := range c.State {
		if section == "" || strings.Contains(section, "/") {
			return nil, fmt.Errorf("section %q of a checkpoint: a name without slashes is needed", section)
		}
		for _, p := range params {
			tensors = append(tensors, nn.Param{Name: section + "/" + p.Name, Tensor: p.Tensor})
		}
	}
	arrays, err := toArrays(tensors)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error {
		texts := map[string]string{metaKey: string(meta), checksumKey: checksum(string(meta), arrays)}
		return safetensors.Write(w, safetensors.File{Tensors: arrays, Texts: texts})
	}, nil
}

// Read returns the checkpoint in a file. A file whose checksum is wrong is an error. It runs inside
// torch.Do.
func Read(path string) (Loaded, error) {
	meta, arrays, err := inspect(path)
	if err != nil {
		return Loaded{}, err
	}
	tensors, err := toTensors(arrays)
	if err != nil {
		return Loaded{}, fmt.Errorf("%s: %w", path, err)
	}
	c := Loaded{Meta: meta, State: map[string]map[string]torch.Tensor{}}
	for full, t := range tensors {
		section, name, ok := strings.Cut(full, "/")
		if !ok {
			return Loaded{}, fmt.Errorf("checkpoint %s is damaged: tensor %q is in no section", path, full)
		}
		if c.State[section] == nil {
			c.State[section] = map[string]torch.Tensor{}
		}
		c.State[section][name] = t
	}
	return c, nil
}

// ReadMeta returns the Meta of a checkpoint. It checks the whole file and makes no tensors.
func ReadMeta(path string) (Meta, error) {
	m, _, err := inspect(path)
	return m, err
}

// What a safetensors file holds, besides "the checkpoint of a search" or of another kind of run.
const (
	ImportedWeights = "a checkpoint of imported weights"
	Tensors         = "a safetensors file"
	damagedTensors  = "a damaged safetensors file"
)

// ContentOf returns what a safetensors file holds, and the names of its tensors.
func ContentOf(path string) (what string, names []string) {
	f, err := safetensors.Read(path)
	if err != nil {
		return damagedTensors, nil
	}
	for _, t := range f.Tensors {
		names = append(names, t.Name)
	}
	text, ok := f.Texts[metaKey]
	if !ok {
		return Tensors, names
	}
	m, err := parseMeta(text)
	switch {
	case err != nil:
		return "a checkpoint", names
	case m.Config == "": // only runs have one
		return ImportedWeights, names
	}
	return "the checkpoint of a " + m.Kind, names
}

// inspect reads and checks a checkpoint; it makes no tensors.
func inspect(path string) (Meta, []safetensors.Tensor, error) {
	f, err := safetensors.Read(path)
	if err != nil {
		if text, other := filekind.ReadText(path, 1<<20); other == nil && len(text) > 0 {
			err = fmt.Errorf("%s is a text, not a checkpoint", path)
		} else if head, _ := filekind.Read(path, 1<<10); !filekind.IsSafetensors(head) && filekind.Name(head) != "" {
			err = fmt.Errorf("%s is %s, not a checkpoint", path, filekind.Name(head))
		}
		return Meta{}, nil, err
	}
	text, ok := f.Texts[metaKey]
	if !ok {
		return Meta{}, nil, fmt.Errorf("%s is a safetensors file, but no checkpoint of this program", path)
	}
	meta, err := parseMeta(text)
	if err == nil && f.Texts[checksumKey] != checksum(text, f.Tensors) {
		err = errors.New("its checksum is not that of its content")
	}
	switch {
	case errors.Is(err, errVersion):
		return Meta{}, nil, fmt.Errorf("%s is a checkpoint of an %w", path, err)
	case err != nil:
		return Meta{}, nil, fmt.Errorf("checkpoint %s is damaged: %w", path, err)
	}
	return meta, f.Tensors, nil
}

func parseMeta(text string) (m Meta, err error) {
	var v struct{ Version *int }
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return m, err
	}
	if v.Version == nil {
		return m, errors.New("it has no version")
	}
	if *v.Version != version {
		return m, fmt.Errorf("%w: it has %d, this program reads %d", errVersion, *v.Version, version)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, err
	}
	return m, m.validate()
}

func (m Meta) validate() error {
	var faults []error
	if m.Kind == "" {
		faults = append(faults, errors.New("a checkpoint needs a kind"))
	}
	if m.Epoch < 0 || m.Batch < 0 {
		faults = append(faults, fmt.Errorf("epoch %d, batch %d: neither can be negative", m.Epoch, m.Batch))
	}
	for name, text := range map[string]string{"configuration": m.Config, "genotype": m.Genotype} {
		if !utf8.ValidString(text) {
			faults = append(faults, fmt.Errorf("the %s is not UTF-8", name))
		}
	}
	return errors.Join(faults...)
}

// checksum returns the CRC-32C of the text and of the name, type, shape and data of every array, sorted
// by name. It detects damage that a safetensors parser would not.
func checksum(text string, arrays []safetensors.Tensor) string {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, a := range arrays {
		fmt.Fprintf(h, "%q %s %d\n", a.Name, a.DType.Safetensors(), a.Shape)
		h.Write(a.Bytes())
	}
	io.WriteString(h, text)
	return fmt.Sprintf("crc32c:%08x", h.Sum32())
}
