package plan_test

import (
	"runtime"
	"strings"
	"testing"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
)

var (
	small = layer.Shape{C: 3, H: 32, W: 32}
	large = layer.Shape{C: 3, H: 224, W: 224}
)

func load(t *testing.T, name string) genotype.Genotype {
	t.Helper()
	g, err := genotype.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Published sizes: of the DARTS repository's networks, counted by its own classes, and of the
// H-DAS authors' program.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		genotype               string
		preset                 plan.Preset
		poolNorm               plan.PoolNorm
		channels               int64
		layers                 int
		parameters, macs, with int64 // 0: not known
	}{
		{"DARTS_V1", plan.CIFAR, "auto", 36, 20, 3169414, 500987520, 3645840},
		{"DARTS_V2", plan.CIFAR, "auto", 36, 20, 3349342, 528359040, 3825768},
		{"PDARTS", plan.CIFAR, "auto", 36, 20, 3433798, 532174464, 3910224},
		{"DARTS_V1", plan.ImageNet, "auto", 48, 14, 4510432, 505864704, 5771208},
		{"DARTS_V2", plan.ImageNet, "auto", 48, 14, 4718752, 529911552, 5979528},
		{"PDARTS", plan.ImageNet, "auto", 48, 14, 4944352, 542819328, 6205128},
		{"Hc_DAS_cells", plan.CIFAR, "auto", 36, 20, 3705742, 578282112, 0},
		{"Hc_DAS_cells", plan.CIFAR, "on", 36, 20, 3707326, 578282112, 0},
	} {
		m := plan.Macro{Preset: c.preset, Channels: c.channels, Layers: c.layers, Classes: 10, PoolNorm: c.poolNorm, Wiring: plan.Summed}
		image := small
		if c.preset == plan.ImageNet {
			m.Classes, image = 1000, large
		}
		p, err := plan.New(load(t, c.genotype), m, image, genotype.Candidates{})
		if err != nil {
			t.Errorf("%s: %v", c.genotype, err)
			continue
		}
		if p.Cost.Parameters != c.parameters || p.Cost.MACs != c.macs {
			t.Errorf("%s, %s, pool_norm %s: %d parameters, %d MACs, not %d, %d", c.genotype, c.preset, c.poolNorm, p.Cost.Parameters, p.Cost.MACs, c.parameters, c.macs)
		}
		if with := p.Cost.Parameters + p.AuxiliaryCost.Parameters; c.with != 0 && with != c.with {
			t.Errorf("%s, %s: %d parameters with the auxiliary head, not %d", c.genotype, c.preset, with, c.with)
		}
	}
}

// All-skip stages over DARTS_V1's cells, C=36, 6,R,6,R,6: 4,689,156 with the auxiliary head, as the
// H-DAS authors' program counts.
func TestSizeOfSkipStages(t *testing.T) {
	g := load(t, "DARTS_V1+Hs_DAS_CIFAR_stages")
	for i := range g.Stages {
		for n := range g.Stages[i].Nodes {
			for e := range g.Stages[i].Nodes[n].In {
				g.Stages[i].Nodes[n].In[e].Op = "skip_connect"
			}
		}
	}
	p, err := plan.New(g, macro(36, 0), small, genotype.Candidates{})
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Cost.Parameters + p.AuxiliaryCost.Parameters; n != 4689156 {
		t.Errorf("%d parameters, not 4,689,156", n)
	}
}

func macro(channels int64, layers int) plan.Macro {
	return plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, Classes: 10, PoolNorm: "auto", Wiring: plan.Summed}
}

func TestPlanErrors(t *testing.T) {
	g := load(t, "DARTS_V1")
	for name, c := range map[string]struct {
		g     genotype.Genotype
		m     plan.Macro
		image layer.Shape
		words string
	}{
		"odd size":     {g, macro(4, 8), layer.Shape{C: 3, H: 30, W: 30}, "divide by 4"},
		"no layers":    {g, macro(4, 1), small, "at least 2"},
		"small head":   {g, plan.Macro{Preset: plan.CIFAR, Channels: 4, Layers: 8, Classes: 10, Auxiliary: true, PoolNorm: "auto", Wiring: plan.Summed}, layer.Shape{C: 3, H: 28, W: 28}, "network.auxiliary=false"},
		"stages alone": {load(t, "Hs_DAS_CIFAR_stages"), macro(4, 0), small, "stages alone"},
		"stage output": {g, plan.Macro{Preset: plan.CIFAR, Channels: 4, Layers: 8, Classes: 10, PoolNorm: "auto", Wiring: plan.Summed, StageOutput: plan.Last}, small, "Rule 2"},
		"everything":   {g, plan.Macro{Preset: "x", Channels: 0, Layers: 8, Classes: 0, PoolNorm: "y", Wiring: "z"}, small, "wiring"},
		"undecided":    {genotype.Genotype{Version: 1, Name: "u", Cells: map[string]genotype.DAG{"normal": {Nodes: []genotype.Node{{In: []genotype.Edge{{From: 0}}}}, Out: []int{2}}, "reduce": g.Cells["reduce"]}}, macro(4, 8), small, "unknown"},
	} {
		if _, err := plan.New(c.g, c.m, c.image, genotype.Candidates{}); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: error %v does not say %q", name, err, c.words)
		}
	}
}

// A small file can describe a network of any size. It is refused before a plan is made, in little memory, and
// no number overflows.
func TestNetworksThatAreTooLarge(t *testing.T) {
	edges := func(n int) genotype.Genotype {
		g := load(t, "DARTS_V1")
		dag := genotype.DAG{Out: []int{2}, Nodes: []genotype.Node{{}}}
		for range n {
			dag.Nodes[0].In = append(dag.Nodes[0].In, genotype.Edge{Op: "skip_connect"})
		}
		g.Cells = map[string]genotype.DAG{"normal": dag, "reduce": dag}
		return g
	}
	stages := func(n int) genotype.Genotype {
		g := load(t, "DARTS_V1")
		for i := range n {
			s := genotype.Stage{Cell: "normal", DAG: genotype.DAG{Out: []int{1, 2}, Nodes: []genotype.Node{{In: []genotype.Edge{{Op: "skip_connect"}}}}}}
			if i < n-1 {
				s.Reduce = "reduce"
			}
			g.Stages = append(g.Stages, s)
		}
		return g
	}
	largest := plan.Macro{Preset: plan.CIFAR, Channels: 4096, Layers: 1000, Classes: 10, PoolNorm: plan.PoolNormAuto, Wiring: plan.Summed, StageOutput: plan.LastTwo}
	tiny := largest
	tiny.Channels, tiny.Layers = 4, 8
	for what, c := range map[string]struct {
		g     genotype.Genotype
		m     plan.Macro
		image layer.Shape
		words string
	}{
		"edges":       {edges(50_000), tiny, small, "operations"},
		"many layers": {edges(140), largest, small, "operations"},
		"stages":      {stages(60), tiny, small, "channels"},
		"channels":    {stages(5), largest, small, "channels"},
		"no image":    {load(t, "DARTS_V1"), tiny, layer.Shape{C: 3, H: 0, W: 32}, "1 to 2048 pixels"},
		"huge image":  {load(t, "DARTS_V1"), tiny, layer.Shape{C: 3, H: 1 << 40, W: 1 << 40}, "1 to 2048 pixels"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := plan.New(c.g, c.m, c.image, genotype.Candidates{})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v does not say %q", what, err, c.words)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
	}
	n, err := plan.New(load(t, "DARTS_V1"), largest, layer.Shape{C: 3, H: 2048, W: 2048}, genotype.Candidates{})
	if err == nil && (n.Cost.MACs < 1<<50 || n.Cost.Parameters < 1<<30) {
		t.Errorf("the largest chain has the cost %+v", n.Cost)
	}
}
