package parity

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"hdas/internal/proc"
)

// StepCost is the time and memory of one step.
type StepCost struct {
	Seconds float64            `json:"seconds"`
	CPU     float64            `json:"cpu"`          // CPU seconds of all threads
	Go      float64            `json:"go,omitempty"` // CPU seconds in Go code, with the garbage collector
	Images  int64              `json:"images,omitempty"`
	Peak    float64            `json:"peak"`             // peak memory since the start (PyTorch: the first step), in bytes: resident, or on CUDA that of the device
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds of each phase
	// Launches holds the numbers of libtorch's operations in the step (torch.Launches), if they were counted.
	Launches map[string]int `json:"launches,omitempty"`
}

// Timed is the result of a workload: medians over all steps but the first, which is a warm-up. Go's
// seconds, which come from a sampling profiler, are a mean.
type Timed struct {
	Workload string `json:"workload"`
	Size
	StepCost        // of this program
	PyTorch  *Peer  `json:"pytorch,omitempty"`
	Compiled *Peer  `json:"compiled,omitempty"` // PyTorch with torch.compile
	Reason   string `json:"reason,omitempty"`   // why Compiled is missing although it was asked for
}

// Peer is the cost of the same steps in PyTorch.
type Peer struct {
	StepCost
	First float64 `json:"first"` // seconds of the first step, which is not counted; torch.compile compiles in it
	// Speed is the ratio of PyTorch's seconds to this program's: median, minimum and maximum over the
	// steps. Memory is the ratio of this program's peak memory to PyTorch's.
	Speed  []float64 `json:"speed"`
	Memory float64   `json:"memory"`
}

// alternate lets processes take steps in turns until each has that number of them.
func alternate(sides []*side, rounds int) error {
	for round := range rounds {
		for _, s := range sides {
			if round < len(s.steps) {
				continue
			}
			if err := s.step(); err != nil {
				return fmt.Errorf("%s: %w", s.command.Path, err)
			}
		}
	}
	return nil
}

// side is a process that runs a step for every line on its standard input.
type side struct {
	command *exec.Cmd
	release func() // of proc.Bind
	in      io.WriteCloser
	out     *bufio.Scanner
	errs    bytes.Buffer
	steps   []StepCost // those that it has taken
}

// begin starts a process. It is killed, with the processes that it started, when the context ends.
func begin(ctx context.Context, args []string) (*side, error) {
	s := &side{command: exec.CommandContext(ctx, args[0], args[1:]...)}
	s.command.Cancel = func() error { return syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL) }
	s.command.WaitDelay = 5 * time.Second
	s.command.Stderr = &s.errs
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewScanner(out)
	if s.in, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	s.release = proc.Bind(s.command)
	if err := s.command.Start(); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *side) step() error {
	var t StepCost
	_, err := fmt.Fprintln(s.in)
	if err == nil && s.out.Scan() {
		err = json.Unmarshal(s.out.Bytes(), &t)
		s.steps = append(s.steps, t)
		return err
	}
	err = errors.Join(s.out.Err(), s.end())
	return fmt.Errorf("ended early: %v: %s", err, cause(s.errs.String()))
}

// end closes the standard input of the process and waits for its end. A second call does nothing.
func (s *side) end() error {
	s.in.Close()
	if s.command.ProcessState != nil {
		return nil
	}
	defer s.release()
	return s.command.Wait()
}

// compile starts a process whose first step takes until PyTorch has compiled it, at most for the given
// time. The error says why there is none.
func compile(ctx context.Context, args []string, limit time.Duration) (*side, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := begin(ctx, args)
	if err != nil {
		cancel()
		return nil, err
	}
	timer := time.AfterFunc(limit, cancel)
	err = s.step()
	if !timer.Stop() {
		err = fmt.Errorf("compiling had not ended after %v", limit)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// peer returns the cost of PyTorch's steps beside those of this program.
func peer(own, steps []StepCost) *Peer {
	p := Peer{StepCost: middle(steps), First: steps[0].Seconds, Memory: own[len(own)-1].Peak / steps[len(steps)-1].Peak}
	var ratios []float64
	for i := 1; i < len(own); i++ {
		ratios = append(ratios, steps[i].Seconds/own[i].Seconds)
	}
	p.Speed = []float64{median(ratios), slices.Min(ratios), slices.Max(ratios)}
	return &p
}

// middle returns the median of every measurement; the peak is that of the last step.
func middle(steps []StepCost) StepCost {
	last, counted := steps[len(steps)-1], steps[1:]
	of := func(f func(StepCost) float64) (v []float64) {
		for _, s := range counted {
			v = append(v, f(s))
		}
		return v
	}
	m := StepCost{Images: last.Images, Peak: last.Peak, Phases: map[string]float64{}, Launches: last.Launches}
	m.Seconds, m.CPU = median(of(func(s StepCost) float64 { return s.Seconds })), median(of(func(s StepCost) float64 { return s.CPU }))
	for _, g := range of(func(s StepCost) float64 { return s.Go }) {
		m.Go += g / float64(len(counted))
	}
	for name := range last.Phases {
		m.Phases[name] = median(of(func(s StepCost) float64 { return s.Phases[name] }))
	}
	return m
}
