package export

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
)

// Module describes the network that a PyTorch module is written for.
type Module struct {
	Genotype  genotype.Genotype
	Plan      plan.Network
	Classes   []string  // their names; nil if they are not known
	Mean, Std []float64 // of the channels; nil if they are not known
	View      string    // how photos become images; empty if it is not known
}

// mark is what every module says of itself in its first line.
const mark = "Written by hdas export."

// IsModule reports whether a file that begins with these bytes is a module that Write wrote.
func IsModule(head []byte) bool {
	line, _, _ := strings.Cut(string(head), "\n")
	return strings.HasPrefix(line, `"""`) && strings.HasSuffix(line, mark)
}

//go:embed module/*.tmpl
var templates embed.FS

var source = template.Must(template.ParseFS(templates, "module/*.tmpl"))

// operations holds the Python expression of each operation's module for c channels and a stride, and the
// class that it needs. A batch norm after a pooling is added if the network has them.
var operations = map[string]struct{ class, code string }{
	"none":         {"Zero", "Zero(stride)"},
	"skip_connect": {"FactorizedReduce", "nn.Identity() if stride == 1 else FactorizedReduce(c, c)"},
	"max_pool_3x3": {"", "nn.MaxPool2d(3, stride, padding=1)"},
	"avg_pool_3x3": {"", "nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)"},
	"sep_conv_3x3": {"SepConv", "SepConv(c, 3, stride)"},
	"sep_conv_5x5": {"SepConv", "SepConv(c, 5, stride)"},
	"sep_conv_7x7": {"SepConv", "SepConv(c, 7, stride)"},
	"dil_conv_3x3": {"DilConv", "DilConv(c, 3, stride)"},
	"dil_conv_5x5": {"DilConv", "DilConv(c, 5, stride)"},
	"conv_7x1_1x7": {"", `nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(c, c, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(c, c, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
        nn.BatchNorm2d(c),
    )`},
}

// Write writes the source of a Python file with the network as a PyTorch module, whose state dict has the
// names of DARTS. It returns an error for an operation that it does not know.
func (m Module) Write(w io.Writer) error {
	p, err := m.page()
	if err != nil {
		return err
	}
	return source.ExecuteTemplate(w, "module.py.tmpl", p)
}

// page is what the templates show; its texts are Python expressions.
type page struct {
	Title, Mark       string
	Kind              string // chain, summed or paired
	Image             layer.Shape
	Channels, Classes int64
	Mean, Std         string
	View              string
	Names             []string // lines of names
	Cells, Stages     []dag
	Layers            string
	Operations        []string
	Uses              map[string]bool // the classes that are needed
	Wide              string          // channels of the stem's output
	ImageNet          bool
	Auxiliary         bool
	LastCell          bool // the output of a stage is its last cell
}

// dag is a cell or a stage.
type dag struct {
	Name, Cell, Reduce, Out string
	Nodes                   []string
}

func (m Module) page() (page, error) {
	macro := m.Plan.Macro
	t := page{Title: plain(m.Genotype.Name), Mark: mark, Image: m.Plan.Image, Channels: macro.Channels, Classes: macro.Classes, Mean: numbers(m.Mean), Std: numbers(m.Std),
		View: m.View, Kind: "chain", Wide: "3 * c", ImageNet: macro.Preset == plan.ImageNet, Auxiliary: macro.Auxiliary, LastCell: macro.StageOutput == plan.Last,
		Uses: map[string]bool{}, Names: wrapped(m.Classes)}
	if t.ImageNet {
		t.Wide = "c"
	}
	var layers []string
	used, pooled := map[string]bool{}, false
	for c := range m.Plan.AllCells() {
		layers = append(layers, c.Name)
		for _, e := range edges(c) {
			if e.At != "" { // which an edge that hands a state on has not
				used[e.Ops[0]], pooled = true, e.Spec.PoolNorm
			}
		}
	}
	for _, name := range m.Genotype.CellNames() {
		if slices.Contains(layers, name) {
			t.Cells = append(t.Cells, data(m.Genotype.Cells[name], dag{Name: strconv.Quote(name)}))
		}
	}
	if t.Layers = repeated(layers); len(m.Genotype.Stages) > 0 {
		t.Kind = string(macro.Wiring)
		if macro.Wiring == plan.Summed {
			t.Wide = `c * len(CELLS[STAGES[0]["cell"]]["out"])`
		}
		for _, s := range m.Genotype.Stages {
			reduce := "None"
			if s.Reduce != "" {
				reduce = strconv.Quote(s.Reduce)
			}
			t.Stages = append(t.Stages, data(s.DAG, dag{Cell: strconv.Quote(s.Cell), Reduce: reduce}))
		}
	}
	t.Uses["Halve"] = t.Kind != "summed"
	t.Uses["FactorizedReduce"] = t.Uses["Halve"]
	for _, name := range ops.Names() {
		if !used[name] {
			continue
		}
		o, known := operations[name]
		if !known {
			return t, fmt.Errorf("the operation %s has no PyTorch module yet", name)
		}
		t.Uses[o.class] = true
		if pooled && strings.Contains(name, "_pool_") {
			o.code = "nn.Sequential(" + o.code + ", nn.BatchNorm2d(c))"
		}
		t.Operations = append(t.Operations, fmt.Sprintf("%q: lambda c, stride: %s,", name, o.code))
	}
	return t, nil
}

// data adds the nodes and the output of a DAG to g.
func data(d genotype.DAG, g dag) dag {
	for _, n := range d.Nodes {
		var edges []string
		for _, e := range n.In {
			edges = append(edges, fmt.Sprintf("(%q, %d)", e.Op, e.From))
		}
		g.Nodes = append(g.Nodes, strings.Join(edges, ", "))
	}
	g.Out = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(d.Out)), ", "), "[]")
	return g
}

// repeated returns a list of texts as a sum of lists, in which a text in a row is written once.
func repeated(list []string) string {
	var parts []string
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n] == list[i] {
			n++
		}
		part := "[" + strconv.Quote(list[i]) + "]"
		if n > 1 {
			part = fmt.Sprintf("%d * %s", n, part)
		}
		parts, i = append(parts, part), i+n
	}
	return strings.Join(parts, " + ")
}

// numbers returns numbers with commas between them.
func numbers(list []float64) string {
	var all []string
	for _, v := range list {
		all = append(all, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(all, ", ")
}

// wrapped returns the names as the lines of a list.
func wrapped(names []string) []string {
	const width = 120
	var lines []string
	line := ""
	for _, name := range names {
		item := strconv.Quote(name) + ","
		if line != "" && len(line)+len(item) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += item
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// plain returns a name without the signs that end or escape a docstring.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || !strconv.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}
