package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/internal/parity"
	"hdas/setting"
	"hdas/torch/kernel"
)

func (p *program) bench() *cobra.Command {
	var b benchFlags
	var about strings.Builder
	for _, w := range parity.Workloads {
		fmt.Fprintf(&about, "  %-18s %s\n", w.Name, w.About)
	}
	c := &cobra.Command{
		Use:   "bench [workload...]",
		Short: "Measure steps of search, training and evaluation, alone or beside PyTorch",
		Long: `Measure steps of search, training and evaluation on random images: seconds, CPU
seconds of all threads, the share of Go code, the seconds of each phase, and the
peak memory (resident memory; on CUDA, that of the device). Each workload runs in
a process of its own, at the size in the paper:

` + about.String() + `
--batch, --threads, --channels, --cells, --window, --recompute, --path, --graphs
and --precision take lists of values; every combination is measured.

With --pytorch, steps alternate with those of a reimplementation of these networks
in PyTorch (the "twin"); with --reference, with those of a checkout of
quark0/darts (darts and darts-second-order only). So other load on the machine
affects both alike. The median, minimum and maximum of the ratios are printed.
--compile times the twin with torch.compile, too, which compiles anew for each; a
workload whose compiling takes more than ten minutes, or fails, is left out with the
reason.

--launches counts libtorch's operations in a step, each at least one kernel on a
GPU; what only makes a view is not counted. Without --path it counts those of the
paths operations and grouped. Counting makes steps slower.`,
		Example: `  hdas bench darts --batch 64 --reference ../darts
  hdas bench darts stage train --pytorch
  hdas bench stage --window 2,3,4,5 --batch 16,64 --json
  hdas bench darts train --launches --batch 4`,
		RunE: func(c *cobra.Command, names []string) error {
			if side := b.side; side != "" {
				return parity.Steps(side, c.InOrStdin(), p.out)
			}
			return p.runBench(c, names, b)
		},
	}
	f := c.Flags()
	f.Int64SliceVar(&b.batch, "batch", []int64{64}, "images in a step")
	f.IntSliceVar(&b.threads, "threads", []int{runtime.NumCPU()}, "threads of libtorch")
	f.Int64SliceVar(&b.channels, "channels", []int64{0}, "initial channels C; 0: the workload's own")
	f.IntSliceVar(&b.cells, "cells", []int{0}, "cells of a chain, or of each searched stage; 0: the workload's own")
	f.IntSliceVar(&b.window, "window", []int{0}, "window of the stage and distribution searches; 0: the paper's")
	f.StringSliceVar(&b.recompute, "recompute", []string{"none"}, "what is recomputed in the backward pass: none, edge, cell")
	f.StringSliceVar(&b.path, "path", []string{""}, "what computes a cell: kernels, operations (of libtorch), grouped (the same, equal edges at once); default: kernels, on CUDA grouped for what learns")
	f.StringSliceVar(&b.precision, "precision", []string{"float32"}, "float32, float64; on CUDA also tf32, bf16 and fp16; also for PyTorch")
	f.BoolSliceVar(&b.graphs, "graphs", []bool{true}, "on CUDA, record the passes of a step as a graph and replay it")
	f.StringVar(&b.device, "device", "cpu", "cpu, cuda, cuda:N or auto")
	f.IntVar(&b.rounds, "rounds", 6, "number of steps, the first of which is not counted")
	f.BoolVar(&b.pytorch, "pytorch", false, "in turns with the PyTorch twin")
	f.BoolVar(&b.compile, "compile", false, "with --pytorch: also the twin compiled by torch.compile")
	f.BoolVar(&b.launches, "launches", false, "count libtorch's operations in a step")
	f.StringVar(&b.reference, "reference", "", "in turns with this checkout of quark0/darts")
	f.StringVar(&b.python, "python", "", "Python with a supported PyTorch; default: $PYTHON, the one that make parity prepared, or python3")
	f.StringVar(&b.side, "side", "", "")
	f.MarkHidden("side")
	return c
}

type benchFlags struct {
	batch, channels                 []int64
	threads, cells, window          []int
	recompute, path, precision      []string
	graphs                          []bool
	pytorch, compile, launches      bool
	device, reference, python, side string
	rounds                          int
}

func (p *program) runBench(c *cobra.Command, names []string, b benchFlags) error {
	if b.pytorch && b.reference != "" {
		return usageError{errors.New("--pytorch compares with the twin, --reference with another program: choose one")}
	}
	if b.compile && !b.pytorch {
		return usageError{errors.New("--compile is for --pytorch")}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	timing := parity.Timing{Self: []string{self, "bench", "--side"}, Twin: b.pytorch, Reference: b.reference, Rounds: b.rounds,
		Compile: b.compile, CompileLimit: 10 * time.Minute, Launches: b.launches}
	if len(names) == 0 {
		names = timing.Names()
	}
	if b.launches && !c.Flags().Changed("path") {
		b.path = []string{kernel.Operations.String(), kernel.Grouped.String()}
	}
	var jobs []benchJob
	for _, name := range names {
		if known := parity.WorkloadNames(); !slices.Contains(known, name) {
			return usageError{fmt.Errorf("workload %q %s", name, setting.Unknown(name, known))}
		}
		for _, size := range b.sizes() {
			if err := timing.Check(name, size); err != nil {
				return usageError{err}
			}
			jobs = append(jobs, benchJob{name, size})
		}
	}
	if b.reference != "" {
		if err := parity.CheckReference(b.reference); err != nil {
			return usageError{err}
		}
	}
	if b.pytorch || b.reference != "" {
		if timing.Python, err = parity.Find(c.Context(), b.python); err != nil {
			return err
		}
	}
	var results []parity.Timed
	for _, j := range jobs {
		fmt.Fprintf(p.err, "measuring %s, batch %d\n", j.name, j.size.Batch)
		r, err := timing.Run(c.Context(), j.name, j.size)
		if err != nil {
			return err
		}
		if r.Reason != "" {
			fmt.Fprintf(p.err, "%s: torch.compile: %s\n", j.name, r.Reason)
		}
		results = append(results, r)
	}
	return p.print(results, func(w io.Writer) { printBench(w, results) })
}

func writePeer(p *parity.Peer) string {
	return fmt.Sprintf("%.3f\t%.2f\t%.2fx (%.2f-%.2f)\t%.2fx", p.Seconds, p.Peak/1e9, p.Speed[0], p.Speed[1], p.Speed[2], p.Memory)
}

type benchJob struct {
	name string
	size parity.Size
}

// sizes returns all combinations of the flags' values.
func (b benchFlags) sizes() []parity.Size {
	sizes := []parity.Size{{Device: b.device}}
	sizes = each(sizes, b.path, func(s *parity.Size, v string) { s.Path = v })
	sizes = each(sizes, b.graphs, func(s *parity.Size, v bool) { s.Graphs = v })
	sizes = each(sizes, b.precision, func(s *parity.Size, v string) { s.Precision = v })
	sizes = each(sizes, b.recompute, func(s *parity.Size, v string) { s.Recompute = v })
	sizes = each(sizes, b.threads, func(s *parity.Size, v int) { s.Threads = v })
	sizes = each(sizes, b.channels, func(s *parity.Size, v int64) { s.Channels = v })
	sizes = each(sizes, b.cells, func(s *parity.Size, v int) { s.Cells = v })
	sizes = each(sizes, b.window, func(s *parity.Size, v int) { s.Window = v })
	return each(sizes, b.batch, func(s *parity.Size, v int64) { s.Batch = v })
}

// each returns, for every size and every value, a copy of the size with that value.
func each[T any](sizes []parity.Size, values []T, set func(*parity.Size, T)) (out []parity.Size) {
	for _, s := range sizes {
		for _, v := range values {
			set(&s, v)
			out = append(out, s)
		}
	}
	return out
}

func printBench(w io.Writer, results []parity.Timed) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "workload\tC\tcells\twindow\tbatch\tthreads\tpath\tprecision\trecompute\tseconds\tcpu s\tgo %\timages/s\tpeak GB\tPyTorch s\tpeak GB\tspeed\tmemory")
	for _, r := range results {
		beside := "-\t-\t-\t-"
		if r.PyTorch != nil {
			beside = writePeer(r.PyTorch)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%.3f\t%.3f\t%.1f\t%.1f\t%.2f\t%s\n", r.Workload, own(r.Channels), own(r.Cells), own(r.Window), r.Batch, r.Threads, cmp.Or(r.Path, "-"), r.Precision, r.Recompute,
			r.Seconds, r.CPU, 100*r.Go/r.Seconds, float64(r.Images)/r.Seconds, r.Peak/1e9, beside)
		switch blank := strings.Repeat("\t", 13); {
		case r.Compiled != nil:
			fmt.Fprintf(t, "  beside torch.compile (the first step took %.0f s)%s\t%s\n", r.Compiled.First, blank, writePeer(r.Compiled))
		case r.Reason != "":
			fmt.Fprintf(t, "  torch.compile: not available%s\t-\t-\t-\t-\n", blank)
		}
	}
	t.Flush()
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "seconds of\tbatch\t"+strings.Join(parity.Phases, "\t")+"\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%d\t", r.Workload, r.Batch)
		for _, phase := range parity.Phases {
			if s, ok := r.Phases[phase]; ok {
				fmt.Fprintf(t, "%.3f\t", s)
			} else {
				fmt.Fprint(t, "-\t")
			}
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for _, r := range results {
		if r.Launches != nil {
			printLaunches(w, r)
		}
	}
}

// printLaunches prints the number of operations in a step, and the most frequent ones.
func printLaunches(w io.Writer, r parity.Timed) {
	names, total := slices.Sorted(maps.Keys(r.Launches)), 0
	for _, n := range r.Launches {
		total += n
	}
	slices.SortStableFunc(names, func(a, b string) int { return r.Launches[b] - r.Launches[a] })
	fmt.Fprintf(w, "\n%s, %s: %d operations in a step\n", r.Workload, r.Path, total)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, name := range names {
		if total -= r.Launches[name]; i == 15 && i < len(names)-1 {
			fmt.Fprintf(t, "%d\t %d others\n", total+r.Launches[name], len(names)-i)
			break
		}
		fmt.Fprintf(t, "%d\t %s\n", r.Launches[name], strings.TrimPrefix(name, "aten::"))
	}
	t.Flush()
}

// own formats a size; 0, which means that the workload has none, becomes "-".
func own[T int | int64](n T) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
