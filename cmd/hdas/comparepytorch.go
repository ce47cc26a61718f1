package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hdas/internal/parity"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/setting"
	"hdas/torch"
)

// The default genotypes of chains and of networks with stages.
const (
	parityChain  = "DARTS_V2"
	parityStages = defaultCells + "+Hs_DAS_CIFAR_stages"
)

func (p *program) comparePyTorch() *cobra.Command {
	var s parity.Settings
	var name, python, order, side string
	var only []string
	var tolerance float64
	c := &cobra.Command{
		Use: "pytorch", Short: "Compare this program with PyTorch on the same weights and batches",
		Long: `Run this program and PyTorch on the same weights and batches, each in a
process of its own, and print the largest differences between logits, losses,
gradients of the weights and of the architecture, and the results of several
steps; and the time and memory of a step.

PyTorch runs the "twin", a reimplementation of these networks and searches that
was written for this comparison. With --reference it runs an unmodified checkout
of quark0/darts: its network of --genotype and its cell search; or of the program
of the authors of H-DAS (msight-tech/research-hdas): its network with stages of 6
cells, and its stage and distribution searches. Where that program has a fault, the
comparison says so and by how much it changes the result. The networks are chains,
stages in both wirings, and the supernets of all searches with every option that
changes a loss or a gradient; --only selects some of them.

The difference of a tensor is its largest difference divided by its largest
value; for a group, that of the worst tensor is printed. Tolerances in float64:
1e-8 for logits, losses and gradients, 1e-7 for results of several steps; in
float32: 1e-3 for logits and losses, none for gradients, which are ill-conditioned
with random weights. --tolerance replaces all of them. A difference above its
tolerance gives exit code 1.

Memory is the peak of resident memory during the steps, without the loaded
libraries; on CUDA, that of the device. --device puts both sides on a device, with
TF32 switched off.`,
		Example: "  hdas compare pytorch\n  hdas compare pytorch --device cuda\n  hdas compare pytorch --reference darts --channels 16 --batch 16 --precision float32 --only cell",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if side != "" {
				return parity.RunHDAS(side)
			}
			if s.Orders = []string{order}; order == "both" {
				s.Orders = []string{parity.First, parity.Second}
			}
			if err := s.Validate(); err != nil {
				return usageError{err}
			}
			cases, err := parityCases(name, only, s)
			if err != nil {
				return usageError{err}
			}
			if s.Reference != "" {
				if err := parity.CheckReference(s.Reference); err != nil {
					return usageError{err}
				}
			}
			found, err := parity.Find(c.Context(), python)
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			all := parity.Comparison{Settings: s, Tolerances: parity.TolerancesFor(s.Precision, tolerance), Python: found, Self: []string{self, "compare", "pytorch", "--side"}}
			return p.comparePairs(c, all, cases)
		},
	}
	f := c.Flags()
	f.StringVar(&s.Reference, "reference", "", "checkout of quark0/darts, or of the H-DAS authors' program, to compare with; default: the twin")
	f.StringVar(&name, "genotype", "", fmt.Sprintf("genotype of the derived network; default: %s and %s", parityChain, parityStages))
	f.StringSliceVar(&only, "only", nil, "networks to compare, of "+strings.Join(parity.Networks(), ", ")+"; default: all that the other side has")
	f.StringVar((*string)(&s.Preset), "preset", string(plan.CIFAR), "preset of the derived network: cifar or imagenet")
	f.Int64Var(&s.Channels, "channels", 4, "initial channels C")
	f.IntVar(&s.Layers, "layers", 8, "cells of a chain")
	f.Int64Var(&s.Batch, "batch", 4, "samples of each half of the data in a step")
	f.IntVar(&s.Steps, "steps", 3, "number of steps")
	f.StringVar(&order, "order", "both", "order of the bilevel steps: first, second or both")
	f.StringVar(&s.Precision, "precision", torch.Float64.String(), "float32 or float64")
	f.StringVar(&s.Device, "device", torch.CPU.String(), "device of both sides: cpu, cuda, cuda:N or auto")
	f.IntVar(&s.Threads, "threads", runtime.NumCPU(), "threads of tensor operations on both sides")
	f.Uint64Var(&s.Seed, "seed", 0, "seed of the random weights and batches")
	f.StringVar(&python, "python", "", "Python with a supported PyTorch; default: $PYTHON, the one that make parity prepared, or python3")
	f.Float64Var(&tolerance, "tolerance", 0, "tolerance of all groups; 0: as described above")
	f.StringVar(&side, "side", "", "")
	f.MarkHidden("side")
	return c
}

// parityCases returns the networks to compare.
func parityCases(name string, only []string, s parity.Settings) ([]parity.Case, error) {
	for _, n := range only {
		if !slices.Contains(parity.Networks(), n) {
			return nil, fmt.Errorf("--only %q %s", n, setting.Unknown(n, parity.Networks()))
		}
	}
	cells, err := genotype.Load(defaultCells)
	if err != nil {
		return nil, err
	}
	derived := map[string]string{parity.Chain: parityChain, parity.Staged: parityStages}
	if name != "" {
		g, err := run.LoadGenotype(name)
		if err != nil {
			return nil, err
		}
		kind := parity.Chain
		if len(g.Stages) > 0 {
			kind = parity.Staged
		}
		derived = map[string]string{kind: name}
	}
	var cases []parity.Case
	for _, network := range parity.Networks() {
		asked := slices.Contains(only, network)
		if len(only) > 0 && !asked {
			continue
		}
		c := parity.Case{Network: network}
		switch given := parity.Given(network); given {
		case parity.Chain, parity.Staged:
			if derived[given] == "" {
				if asked {
					return nil, fmt.Errorf("--only %s, but %s is none", network, name)
				}
				continue
			}
			if c.Genotype, err = run.LoadGenotype(derived[given]); err != nil {
				return nil, err
			}
		case parity.Cell:
			c.Genotype = cells
		}
		if err := parity.Fits(c, s); err != nil {
			if asked || s.Reference == "" {
				return nil, err
			}
			continue // the reference does not have this network
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func (p *program) comparePairs(c *cobra.Command, all parity.Comparison, cases []parity.Case) error {
	var results []parity.Result
	failed := 0
	for _, which := range cases {
		fmt.Fprintf(p.err, "comparing the %s\n", which.Title())
		r, err := all.Run(c.Context(), which)
		if err != nil {
			return fmt.Errorf("%s: %w", which.Title(), err)
		}
		for _, g := range r.Groups {
			if g.Failed {
				failed++
			}
		}
		results = append(results, r)
		if !p.json {
			writeParity(p.out, r)
		}
	}
	if p.json {
		if err := p.print(results, nil); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d groups exceed their tolerance", failed)
	}
	return nil
}

func writeParity(w io.Writer, r parity.Result) {
	fmt.Fprintf(w, "%s, with %s\n", r.Case, r.With)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  \ttensors\tdifference\tat most\tworst")
	for _, g := range r.Groups {
		atMost, mark := "-", ""
		if g.Tolerance > 0 {
			atMost = fmt.Sprintf("%.0e", g.Tolerance)
		}
		if g.Failed {
			mark = "  <- too much"
		}
		fmt.Fprintf(t, "  %s\t%d\t%.1e\t%s\t%s%s\n", g.Name, g.Tensors, float64(g.Difference), atMost, g.Worst, mark)
	}
	t.Flush()
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "  a step\thdas\tPyTorch\tratio\tmemory\tPyTorch's\tratio\t")
	for _, pace := range r.Paces {
		fmt.Fprintf(t, "  %s\t%.2f s\t%.2f s\t%.2f\t%.0f MB\t%.0f MB\t%.2f\t\n", pace.Name, pace.HDAS, pace.PyTorch, pace.HDAS/pace.PyTorch,
			float64(pace.HDASPeak)/1e6, float64(pace.PyTorchPeak)/1e6, float64(pace.HDASPeak)/float64(pace.PyTorchPeak))
	}
	t.Flush()
	fmt.Fprintln(w)
}
