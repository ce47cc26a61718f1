package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hdas/torch"
)

// benchStep is what one step of a workload took.
type benchStep struct {
	Seconds float64            `json:"seconds"`
	CPU     float64            `json:"cpu"`              // seconds of all threads
	Peak    float64            `json:"peak"`             // resident bytes, the most since the start
	Images  int                `json:"images,omitempty"` // of one step
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds
}

// benchRow is a workload's result: medians over the rounds after the first, which warms up.
type benchRow struct {
	Workload  string     `json:"workload"`
	Batch     int        `json:"batch"`
	Threads   int        `json:"threads"`
	benchStep            // of hdas
	Reference *benchStep `json:"reference,omitempty"`
	// Over the rounds, the reference's seconds over ours: the median, the least and the most; and our
	// peak memory over its.
	Speed  []float64 `json:"speed,omitempty"`
	Memory float64   `json:"memory,omitempty"`
}

//go:embed bench_reference.py
var benchReference string

func (p *program) bench() *cobra.Command {
	var batch, threads, rounds int
	var recompute, reference, python string
	var plain bool
	c := &cobra.Command{
		Use:   "bench [workload...]",
		Short: "Measure steps of search, training and evaluation",
		Long: `Measure steps of search, training and evaluation on random images: seconds, of
them the processors', and peak resident memory, each workload in a process of
its own. Workloads: ` + strings.Join(workloadNames(), ", ") + `.

With --reference, a checkout of quark0/darts, the workload "darts" is measured
against it: steps of both alternate, so that what else the machine does hits
both, and the ratios' median, least and most are printed.`,
		Example: "  hdas bench darts --batch 16 --reference ../darts\n  hdas bench --rounds 3 --json",
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = workloadNames()
			}
			for _, name := range names {
				if _, ok := workloads[name]; !ok {
					return usageError{fmt.Errorf("workload %q is unknown; known are %s", name, strings.Join(workloadNames(), ", "))}
				}
			}
			if rounds < 2 || batch < 2 || threads < 1 {
				return usageError{fmt.Errorf("--rounds and --batch are at least 2, --threads at least 1")}
			}
			if reference != "" && !slices.Contains(names, "darts") {
				return usageError{fmt.Errorf("--reference is for the workload darts")}
			}
			var rows []benchRow
			for _, name := range names {
				own := []string{"bench-steps", name, "--batch", fmt.Sprint(batch), "--threads", fmt.Sprint(threads), "--recompute", recompute, fmt.Sprintf("--plain=%v", plain)}
				executable, err := os.Executable()
				if err != nil {
					return err
				}
				commands := [][]string{append([]string{executable}, own...)}
				if reference != "" && name == "darts" {
					commands = append(commands, []string{python, "-c", benchReference, reference, fmt.Sprint(batch), fmt.Sprint(threads)})
				}
				steps, err := alternate(c.Context(), commands, rounds, p.err)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				rows = append(rows, benchSummary(name, batch, threads, steps))
			}
			return p.print(rows, func(w io.Writer) { printBench(w, rows) })
		},
	}
	f := c.Flags()
	f.IntVar(&batch, "batch", 64, "images of a step")
	f.IntVar(&threads, "threads", 2, "threads of libtorch")
	f.IntVar(&rounds, "rounds", 5, "steps, of which the first is not counted")
	f.StringVar(&recompute, "recompute", "none", "what is computed again for the gradient: none, edge, cell")
	f.BoolVar(&plain, "plain", false, "libtorch's operations instead of the kernels")
	f.StringVar(&reference, "reference", "", "checkout of quark0/darts to compare with")
	f.StringVar(&python, "python", "python3", "Python with PyTorch for --reference")
	return c
}

// alternate starts the commands and lets them step in turns; steps[i] are command i's.
func alternate(ctx context.Context, commands [][]string, rounds int, errs io.Writer) (steps [][]benchStep, err error) {
	steps = make([][]benchStep, len(commands))
	in, out := make([]io.WriteCloser, len(commands)), make([]*bufio.Scanner, len(commands))
	for i, args := range commands {
		c := exec.CommandContext(ctx, args[0], args[1:]...)
		c.Stderr = errs
		if in[i], err = c.StdinPipe(); err != nil {
			return nil, err
		}
		pipe, err := c.StdoutPipe()
		if err != nil {
			return nil, err
		}
		out[i] = bufio.NewScanner(pipe)
		if err := c.Start(); err != nil {
			return nil, err
		}
		defer c.Wait()
		defer in[i].Close()
	}
	for range rounds {
		for i := range commands {
			fmt.Fprintln(in[i])
			if !out[i].Scan() {
				return nil, fmt.Errorf("%s ended early", commands[i][0])
			}
			var s benchStep
			if err := json.Unmarshal(out[i].Bytes(), &s); err != nil {
				return nil, fmt.Errorf("%s: %w", commands[i][0], err)
			}
			steps[i] = append(steps[i], s)
		}
	}
	return steps, nil
}

func benchSummary(name string, batch, threads int, steps [][]benchStep) benchRow {
	r := benchRow{Workload: name, Batch: batch, Threads: threads, benchStep: middle(steps[0])}
	if len(steps) > 1 {
		m := middle(steps[1])
		r.Reference, r.Memory = &m, r.Peak/m.Peak
		var ratios []float64
		for i := 1; i < len(steps[0]); i++ {
			ratios = append(ratios, steps[1][i].Seconds/steps[0][i].Seconds)
		}
		slices.Sort(ratios)
		r.Speed = []float64{benchMedian(ratios), ratios[0], ratios[len(ratios)-1]}
	}
	return r
}

// middle is the median of every figure; the peak is the last one.
func middle(steps []benchStep) benchStep {
	of := func(f func(benchStep) float64) float64 {
		var v []float64
		for _, s := range steps[1:] {
			v = append(v, f(s))
		}
		return benchMedian(v)
	}
	last := steps[len(steps)-1]
	m := benchStep{Peak: last.Peak, Images: last.Images, Phases: map[string]float64{}}
	m.Seconds, m.CPU = of(func(s benchStep) float64 { return s.Seconds }), of(func(s benchStep) float64 { return s.CPU })
	for name := range last.Phases {
		m.Phases[name] = of(func(s benchStep) float64 { return s.Phases[name] })
	}
	return m
}

func benchMedian(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func printBench(w io.Writer, rows []benchRow) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "workload\tbatch\tthreads\tseconds\tcpu s\timages/s\tpeak GB\tspeed\tmemory\tphases")
	for _, r := range rows {
		speed, memory := "", ""
		if r.Reference != nil {
			speed = fmt.Sprintf("%.2fx (%.2f-%.2f)", r.Speed[0], r.Speed[1], r.Speed[2])
			memory = fmt.Sprintf("%.2fx", r.Memory)
		}
		var phases []string
		for _, name := range benchPhases {
			if s, ok := r.Phases[name]; ok {
				phases = append(phases, fmt.Sprintf("%s %.2f", name, s))
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%.3f\t%.3f\t%.1f\t%.2f\t%s\t%s\t%s\n", r.Workload, r.Batch, r.Threads, r.Seconds, r.CPU,
			float64(r.Images)/r.Seconds, r.Peak/1e9, speed, memory, strings.Join(phases, ", "))
		if r.Reference != nil {
			fmt.Fprintf(t, "  reference\t\t\t%.3f\t%.3f\t\t%.2f\t\t\t\n", r.Reference.Seconds, r.Reference.CPU, r.Reference.Peak/1e9)
		}
	}
	t.Flush()
}

// benchSteps is the process behind one workload: a step for every line on standard input.
func (p *program) benchSteps() *cobra.Command {
	var batch, threads int
	var recompute string
	var plain bool
	c := &cobra.Command{
		Use: "bench-steps workload", Hidden: true, Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, names []string) error {
			again, err := torch.ParseRecompute(recompute)
			if err != nil {
				return usageError{err}
			}
			make, ok := workloads[names[0]]
			if !ok {
				return usageError{fmt.Errorf("workload %q is unknown", names[0])}
			}
			var step func(clock *phases)
			var free func()
			failure := torch.Do(func(*torch.Scope) {
				torch.SetThreads(threads)
				torch.PlainKernels(plain)
				step, free, err = make(int64(batch), again)
			})
			if failure != nil || err != nil {
				return fmt.Errorf("%v%v", failure, err)
			}
			defer torch.Do(func(*torch.Scope) { free() })
			for in := bufio.NewScanner(c.InOrStdin()); in.Scan(); {
				s := benchStep{Images: batch, Phases: map[string]float64{}}
				start, cpu := time.Now(), used()
				if err := torch.Do(func(*torch.Scope) { step(&phases{last: time.Now(), seconds: s.Phases}) }); err != nil {
					return err
				}
				s.Seconds, s.CPU = time.Since(start).Seconds(), used().cpu-cpu.cpu
				s.Peak = used().peak
				line, err := json.Marshal(s)
				if err != nil {
					return err
				}
				fmt.Fprintln(p.out, string(line))
			}
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&batch, "batch", 64, "")
	f.IntVar(&threads, "threads", 2, "")
	f.StringVar(&recompute, "recompute", "none", "")
	f.BoolVar(&plain, "plain", false, "")
	return c
}

type usage struct{ cpu, peak float64 }

func used() usage {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return usage{seconds(r.Utime) + seconds(r.Stime), float64(r.Maxrss) * 1024}
}
