// Package parity compares this program with PyTorch. Both sides run in separate processes on the same
// weights and batches; their logits, losses, gradients and steps are then compared. The side of PyTorch
// is either the twin, a reimplementation of these networks that was written for this comparison, or a
// checkout of quark0/darts. The package also measures the time and memory of steps on both sides.
package parity

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/models/plan"
	"hdas/run"
	"path/filepath"
	"slices"
	"strings"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/torch"

	"go.yaml.in/yaml/v3"
)

// The orders of a bilevel step.
const (
	First  = "first"
	Second = "second"
)

// Settings holds the settings of a comparison.
type Settings struct {
	Preset    plan.Preset `json:"preset"`   // of derived networks; supernets always take small images
	Channels  int64       `json:"channels"` // initial channels
	Layers    int         `json:"layers"`   // cells of a chain
	Batch     int64       `json:"batch"`    // samples of each half of the data in a step
	Steps     int         `json:"steps"`
	Orders    []string    `json:"orders"`    // orders of the bilevel steps: First, Second
	Precision string      `json:"precision"` // float32 or float64
	Device    string      `json:"device"`    // as run.Device takes it
	Threads   int         `json:"threads"`
	Seed      uint64      `json:"seed"`
	Reference string      `json:"reference"` // a checkout of quark0/darts to compare with; empty: the twin
}

// Validate returns an error that names every invalid value.
func (s Settings) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(s.Batch >= 2, "batch %d is not at least 2, which batch norm needs", s.Batch)
	check(s.Steps >= 1, "steps %d is not at least 1", s.Steps)
	check(s.Threads >= 1, "threads %d is not at least 1", s.Threads)
	_, err := s.dtype()
	check(err == nil, "%v", err)
	_, err = run.Device(s.Device)
	check(err == nil, "%v", err)
	check(len(s.Orders) > 0, "no order of the bilevel steps; known are %s, %s", First, Second)
	for _, o := range s.Orders {
		check(o == First || o == Second, "order %q is unknown; known are %s, %s", o, First, Second)
	}
	return errors.Join(faults...)
}

func (s Settings) dtype() (torch.DType, error) {
	for _, d := range []torch.DType{torch.Float32, torch.Float64} {
		if d.String() == s.Precision {
			return d, nil
		}
	}
	return 0, fmt.Errorf("precision %q is unknown; known are %v, %v", s.Precision, torch.Float32, torch.Float64)
}

// Case is a network to compare.
type Case struct {
	Network  string            // one of Networks
	Genotype genotype.Genotype // the genotype that the network needs; see Given
}

// Title returns the name of the case for a table.
func (c Case) Title() string {
	switch Given(c.Network) {
	case Chain, Staged:
		return fmt.Sprintf("%s network %s", c.Network, c.Genotype.Name)
	case Cell:
		return fmt.Sprintf("%s supernet over %s cells", c.Network, c.Genotype.Name)
	}
	return c.Network + " supernet"
}

// derived reports whether the network is a derived one, not a supernet.
func (c Case) derived() bool { return c.network().kind == "" }

// task is the content of the file that both sides read. Net describes the network for the Python side;
// this program reads the genotype file in the same folder.
type task struct {
	Settings
	Net             net                             `json:"net"`
	Search          *section[configs.SearchSection] `json:"search"` // nil for a derived network
	AuxiliaryWeight float64                         `json:"auxiliary_weight"`
	Weights         section[configs.SGD]            `json:"weights"`
	Alpha           section[configs.Adam]           `json:"alpha"`
}

// net describes a network, or the cells of searched stages.
type net struct {
	Preset      plan.Preset    `json:"preset"`
	Channels    int64          `json:"channels"`
	Layers      int            `json:"layers"`
	Classes     int64          `json:"classes"`
	Auxiliary   bool           `json:"auxiliary"`
	PoolNorm    bool           `json:"pool_norm"`
	Cells       map[string]dag `json:"cells"`
	Stages      []stage        `json:"stages"`
	Wiring      string         `json:"wiring"` // empty for a network without stages
	StageOutput string         `json:"stage_output"`
	Pairs       [][]int        `json:"pairs"` // candidate outputs of a searched stage, which the Python side fills in itself
}

type dag struct {
	Nodes [][][2]any `json:"nodes"` // the edges of each node, as pairs of operation and state
	Out   []int      `json:"out"`
}

type stage struct {
	dag
	Cell   string `json:"cell"`
	Reduce string `json:"reduce"`
}

// section is a section of a configuration that is encoded with its YAML keys.
type section[T any] struct{ Of T }

// MarshalJSON returns the YAML of the section, converted to JSON.
func (s section[T]) MarshalJSON() ([]byte, error) {
	text, err := yaml.Marshal(s.Of)
	if err != nil {
		return nil, err
	}
	var keys map[string]any
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return nil, err
	}
	return json.Marshal(keys)
}

// UnmarshalJSON decodes the section as YAML, of which JSON is a subset.
func (s *section[T]) UnmarshalJSON(text []byte) error { return yaml.Unmarshal(text, &s.Of) }

// classes returns the number of classes of a preset's data set.
func classes(preset plan.Preset) int64 {
	if preset == plan.ImageNet {
		return 1000
	}
	return 10
}

// newTask returns the task of a case, with the learning rates and losses of the paper.
func newTask(c Case, s Settings) task {
	if d, err := run.Device(s.Device); err == nil {
		s.Device = d.String() // PyTorch does not know "auto"
	}
	config, n := configs.DefaultSearchSection(configs.CellSearch), c.network() // a derived network uses its section "weights" only
	if !c.derived() {
		if config = configs.DefaultSearchSection(n.kind); n.change != nil {
			n.change(&config)
		}
		config.StageSpecific = config.StageSpecific && s.Reference == "" // DARTS has two cells
		if authors(s.Reference) {
			config.Delta, config.Gamma = 0, 0 // for the depth, its trainer takes a step of its own
		}
		s.Preset = plan.CIFAR
	}
	if authors(s.Reference) {
		s.Orders = []string{First} // its second order is not used by its trainers
	}
	t := task{
		Settings: s, AuxiliaryWeight: 0.4,
		Weights: section[configs.SGD]{config.Weights}, Alpha: section[configs.Adam]{config.Alpha},
		Net: net{
			Preset: s.Preset, Channels: s.Channels, Layers: s.Layers, Classes: classes(s.Preset),
			Auxiliary: c.derived(), PoolNorm: c.Network != Chain, Cells: map[string]dag{}, Stages: []stage{},
			Wiring: string(n.wiring), StageOutput: string(n.output), Pairs: [][]int{},
		},
	}
	for name, d := range c.Genotype.Cells {
		t.Net.Cells[name] = edges(d)
	}
	if c.derived() {
		for _, s := range c.Genotype.Stages {
			t.Net.Stages = append(t.Net.Stages, stage{edges(s.DAG), s.Cell, s.Reduce})
		}
		return t
	}
	t.Search = &section[configs.SearchSection]{config}
	return t
}

func edges(d genotype.DAG) dag {
	out := dag{Out: d.Out}
	for _, n := range d.Nodes {
		node := [][2]any{}
		for _, e := range n.In {
			node = append(node, [2]any{e.Op, e.From})
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out
}

// macro returns the size of the network.
func (t task) macro() plan.Macro {
	return plan.Macro{
		Preset: t.Preset, Channels: t.Channels, Layers: t.Layers, Classes: t.Net.Classes, Auxiliary: t.Net.Auxiliary,
		PoolNorm: "auto", Wiring: cmp.Or(plan.Wiring(t.Net.Wiring), plan.Summed), StageOutput: plan.StageOutput(t.Net.StageOutput),
	}
}

func (t task) image() layer.Shape {
	if t.Preset == plan.ImageNet {
		return layer.Shape{C: 3, H: 224, W: 224}
	}
	return layer.Shape{C: 3, H: 32, W: 32}
}

// config returns the settings of the search, with the cells of the genotype in a folder.
func (t task) config(folder string) configs.SearchSection {
	c := t.Search.Of
	c.Cells = genotypeFile(folder)
	return c
}

// Fits returns an error if a case cannot be compared. The twin builds every network; quark0/darts builds
// only its own.
func Fits(c Case, s Settings) error {
	t := newTask(c, s)
	if c.derived() {
		if _, err := plan.New(c.Genotype, t.macro(), t.image(), genotype.Candidates{}); err != nil {
			return err
		}
	} else if err := t.macro().Validate(); err != nil {
		return err
	}
	if c.network().kind == configs.CellSearch && s.Layers < 5 {
		return fmt.Errorf("%d layers leave a stage of the cell supernet without a normal cell; at least 5", s.Layers)
	}
	if !c.derived() && s.Channels%int64(t.Search.Of.PartialChannels) != 0 {
		return fmt.Errorf("%d channels of the %s supernet do not divide by %d, one in so many of which is mixed", s.Channels, c.Network, t.Search.Of.PartialChannels)
	}
	if authors(s.Reference) {
		return fitsAuthors(c, s)
	}
	if s.Reference == "" || c.Network == Cell {
		return nil
	}
	if c.Network != Chain {
		return fmt.Errorf("quark0/darts has no %s network; compare it with the twin, without --reference", c.Network)
	}
	g := c.Genotype
	if names := g.CellNames(); !slices.Equal(names, []string{"normal", "reduce"}) {
		return fmt.Errorf("quark0/darts builds chains of the cells normal and reduce; %s has %s; compare it with the twin, without --reference", g.Name, strings.Join(names, ", "))
	}
	return twoEdges(g, "quark0/darts")
}

// twoEdges returns an error if a node of a cell has not two edges.
func twoEdges(g genotype.Genotype, program string) error {
	for name, d := range g.Cells {
		for i, n := range d.Nodes {
			if len(n.In) != 2 {
				return fmt.Errorf("%s builds nodes of two edges; node %d of %s's cell %s has %d; compare it with the twin, without --reference", program, i, g.Name, name, len(n.In))
			}
		}
	}
	return nil
}

// fitsAuthors returns an error if the program of the authors of H-DAS does not build the network of a case.
func fitsAuthors(c Case, s Settings) error {
	const program = "the H-DAS authors' program"
	if c.Network != Staged && c.Network != Stage && c.Network != Distribution {
		return fmt.Errorf("%s has no %s network that can be compared; compare it with the twin, without --reference", program, c.Network)
	}
	if s.Preset != plan.CIFAR {
		return fmt.Errorf("of %s, networks with the preset cifar are compared", program)
	}
	if g := c.Genotype; c.derived() && !slices.Equal(g.Lengths(), []int{6, 6, 6}) {
		return fmt.Errorf("%s builds networks of 6, 6 and 6 cells (the places of its reduction cells are fixed), and %s has %v", program, g.Name, g.Lengths())
	}
	if names := c.Genotype.CellNames(); !slices.Equal(names, []string{"normal", "reduce"}) {
		return fmt.Errorf("%s builds networks of the cells normal and reduce; %s has %s", program, c.Genotype.Name, strings.Join(names, ", "))
	}
	return twoEdges(c.Genotype, program)
}

// The files that both sides read in a comparison's folder.
func taskFile(folder string) string     { return filepath.Join(folder, "task.json") }
func inputFile(folder string) string    { return filepath.Join(folder, "input.safetensors") }
func genotypeFile(folder string) string { return filepath.Join(folder, "genotype.yaml") }
