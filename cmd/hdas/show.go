package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/lab"
	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/plan"
	"hdas/run"
)

// defaultCells names the cells of stages that have none of their own.
const defaultCells = "DARTS_V1"

func (p *program) show() *cobra.Command {
	m := plan.Macro{}
	var cells string
	var notation bool
	c := &cobra.Command{
		Use: "show NAME|FILE|CELLS+STAGES|RUN|CHECKPOINT, or show genotypes", Short: "Print the size and the stages of a network",
		Long: `Print the parameters, multiply-adds and stages of a genotype's network, or list
the published genotypes with their sizes under both presets or under --preset.
Presets: cifar is C=36, 20 layers, 10 classes, 32x32; imagenet is C=48, 14 layers
(with stages: C=39), 1000 classes, 224x224. A run or a checkpoint has its own
sizes, unless --preset is given; of a search, the network is that of its genotype.
Stages without cells get the cells of --cells. Errors are published ones, of
networks that were trained elsewhere.`,
		Example: "  hdas show DARTS_V2 --preset imagenet --json\n  hdas show DARTS_V1+Hs_DAS_CIFAR_stages\n  hdas show FairDARTS_b --text\n  hdas show runs/trained",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if a[0] == "genotypes" {
				for _, flag := range []string{"channels", "layers", "classes", "wiring", "pool-norm", "text"} {
					if c.Flags().Changed(flag) {
						return usageError{fmt.Errorf("--%s is for one genotype; the list uses the sizes of the presets", flag)}
					}
				}
				preset := m.Preset
				if !c.Flags().Changed("preset") {
					preset = ""
				}
				return p.list(c, m, preset, cells)
			}
			d, ofRun, err := lab.Describe(a[0])
			g := d.Genotype
			if !ofRun {
				g, err = run.LoadGenotype(a[0])
			}
			if err != nil {
				return usageError{err}
			}
			if notation {
				return p.notation(g)
			}
			if len(g.Cells) == 0 {
				under, err := run.LoadGenotype(cells)
				if err != nil {
					return usageError{err}
				}
				if g, err = genotype.Combine(under, g); err != nil {
					return usageError{err}
				}
			} else if c.Flags().Changed("cells") {
				return usageError{fmt.Errorf("%s has cells of its own; --cells is for stages without cells", g.Name)}
			}
			var r shown
			if ofRun && !c.Flags().Changed("preset") {
				r.Run = &described{a[0], d.Kind, d.Dataset, d.State}
				r.Size, err = measureRun(c, d, m)
			} else {
				r.Size, err = measure(c, g, m)
			}
			if err != nil {
				return usageError{err}
			}
			return p.print(r, func(w io.Writer) { r.write(w, g) }, step{command("draw", a[0], "-o", run.DrawingFile), "its drawing"})
		},
	}
	f := c.Flags()
	f.StringVar((*string)(&m.Preset), "preset", string(plan.CIFAR), "cifar or imagenet")
	f.Int64Var(&m.Channels, "channels", 0, "initial channels C; 0: those of the preset")
	f.IntVar(&m.Layers, "layers", 0, "cells of a chain; 0: those of the preset")
	f.Int64Var(&m.Classes, "classes", 0, "classes; 0: those of the preset")
	f.StringVar((*string)(&m.Wiring), "wiring", string(plan.Summed), "wiring of stages: summed (a cell reads the sum of its edges) or paired (edge k is input k of the cell)")
	f.StringVar((*string)(&m.StageOutput), "stage-output", string(plan.LastTwo), "output of stages in the paired wiring: last_two cells or last cell")
	f.StringVar((*string)(&m.PoolNorm), "pool-norm", string(plan.PoolNormAuto), "batch norm after pooling: on, off; auto: on in stages, off in chains")
	f.BoolVar(&notation, "text", false, "print the genotype in the notation of DARTS' program")
	f.StringVar(&cells, "cells", defaultCells, "genotype whose cells are used for stages without cells")
	return c
}

// shown is the output of show.
type shown struct {
	lab.Size
	Run *described `json:"run,omitempty"`
}

// described is the run whose network is shown.
type described struct {
	Path    string `json:"path"`
	Kind    string `json:"kind"`
	Dataset string `json:"dataset"`
	lab.Progress
}

// checkShape returns an error for flags that the network of a genotype has no use for.
func checkShape(c *cobra.Command, g genotype.Genotype) error {
	staged := len(g.Stages) > 0
	if staged && c.Flags().Changed("layers") {
		return fmt.Errorf("%s has stages with their own number of cells; --layers is for chains", g.Name)
	}
	for _, flag := range []string{"wiring", "stage-output"} {
		if !staged && c.Flags().Changed(flag) {
			return fmt.Errorf("%s is a chain, without stages to wire; --%s is for genotypes with stages", g.Name, flag)
		}
	}
	return nil
}

// measureRun returns the size of a run's network, with what the flags change.
func measureRun(c *cobra.Command, d lab.Described, m plan.Macro) (lab.Size, error) {
	if err := checkShape(c, d.Genotype); err != nil {
		return lab.Size{}, err
	}
	for flag, set := range map[string]func(){
		"channels": func() { d.Macro.Channels = m.Channels }, "layers": func() { d.Macro.Layers = m.Layers },
		"classes": func() { d.Macro.Classes = m.Classes }, "wiring": func() { d.Macro.Wiring = m.Wiring },
		"stage-output": func() { d.Macro.StageOutput = m.StageOutput }, "pool-norm": func() { d.Macro.PoolNorm = m.PoolNorm },
	} {
		if c.Flags().Changed(flag) {
			set()
		}
	}
	return lab.MeasureFor(d.Genotype, d.Macro, d.Image)
}

// measure returns the size of a network with the sizes of the preset, unless flags change them.
func measure(c *cobra.Command, g genotype.Genotype, m plan.Macro) (lab.Size, error) {
	if err := checkShape(c, g); err != nil {
		return lab.Size{}, err
	}
	published := m.Preset.Size(len(g.Stages) > 0)
	if !c.Flags().Changed("channels") {
		m.Channels = published.Channels
	}
	if !c.Flags().Changed("layers") {
		m.Layers = published.Layers
	}
	if !c.Flags().Changed("classes") {
		m.Classes = published.Classes
	}
	return lab.Measure(g, m)
}

func (r shown) write(w io.Writer, g genotype.Genotype) {
	fmt.Fprintf(w, "%s\n", plain(r.Name))
	if r.Run != nil {
		state := ""
		if r.Run.Epochs > 0 {
			state = ", " + r.Run.Progress.String()
		}
		fmt.Fprintf(w, "  %-22s %s, on %s%s\n", r.Run.Kind, r.Run.Path, r.Run.Dataset, state)
	}
	if g.Source != "" {
		fmt.Fprintf(w, "  source                 %s\n", plain(g.Source))
	}
	if r.Reported != nil {
		fmt.Fprintf(w, "  reported error         CIFAR-10 %s, ImageNet %s (%s)\n", errorRate(r.Reported.CIFAR10), errorRate(r.Reported.ImageNet), plain(r.Reported.Source))
	}
	wiring := "chain"
	if r.Wiring != "" {
		wiring = fmt.Sprintf("stages, %s, output %s", r.Wiring, r.StageOutput)
	}
	fmt.Fprintf(w, "  network                %s, %s, C=%d, %d cells, %d classes, %dx%d images, pool_norm %s\n", wiring, r.Preset, r.Channels, r.Layers, r.Classes, r.Image[0], r.Image[1], r.PoolNorm)
	fmt.Fprintf(w, "  parameters             %s\n  with auxiliary head    %s\n  multiply-adds          %s\n\n", thousands(r.Parameters), thousands(r.ParametersAuxiliary), thousands(r.MACs))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tcells\tdead\tlongest path\tmean path\t")
	for i, s := range r.Stages {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%.3f\t\n", i+1, s.Cells, s.Dead, s.Longest, s.Mean)
	}
	t.Flush()
}

// notation prints a genotype in the notation of DARTS' program.
func (p *program) notation(g genotype.Genotype) error {
	s, err := text.Format(g)
	if err != nil {
		return usageError{err}
	}
	return p.print(map[string]string{"text": s}, func(w io.Writer) { fmt.Fprint(w, s) })
}

// listed is a row of the output of "show genotypes".
type listed struct {
	Name     string                   `json:"name"`
	Kind     string                   `json:"kind"` // "cells", or "stages over" the name of the cells
	Source   string                   `json:"source"`
	Reported lab.Reported             `json:"reported"`
	Sizes    map[plan.Preset]lab.Size `json:"sizes"` // by preset
}

// list prints the published genotypes with their sizes under one preset, or under all presets if it is "".
func (p *program) list(c *cobra.Command, m plan.Macro, preset plan.Preset, cells string) error {
	presets := plan.Presets
	if preset != "" {
		presets = []plan.Preset{preset}
	}
	under, err := run.LoadGenotype(cells)
	if err != nil {
		return usageError{err}
	}
	var rows []listed
	for _, name := range genotype.Names() {
		g, err := genotype.Published(name)
		if err != nil {
			return err
		}
		r := listed{Name: name, Kind: "cells", Source: g.Source, Reported: lab.Reported(g.Reported), Sizes: map[plan.Preset]lab.Size{}}
		if len(g.Cells) == 0 {
			r.Kind = "stages over " + under.Name
			if g, err = genotype.Combine(under, g); err != nil {
				return usageError{err}
			}
		}
		for _, m.Preset = range presets {
			if r.Sizes[m.Preset], err = measure(c, g, m); err != nil {
				return usageError{err}
			}
		}
		rows = append(rows, r)
	}
	return p.print(rows, func(w io.Writer) { table(w, rows, presets) })
}

func table(w io.Writer, rows []listed, presets []plan.Preset) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "genotype\tkind\t")
	for _, preset := range presets {
		fmt.Fprintf(t, "%s: parameters\tmultiply-adds\terror\t", preset)
	}
	fmt.Fprintln(t, "source")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t", r.Name, r.Kind)
		for _, preset := range presets {
			found := r.Reported.CIFAR10
			if preset == plan.ImageNet {
				found = r.Reported.ImageNet
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t", thousands(r.Sizes[preset].Parameters), thousands(r.Sizes[preset].MACs), errorRate(found))
		}
		fmt.Fprintln(t, r.Source)
	}
	t.Flush()
}

// errorRate formats an error in percent; 0 means unknown and becomes "-".
func errorRate(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", v)
}
