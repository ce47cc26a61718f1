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

	"hdas/internal/proc"
)

// StepCost is the time and memory of one step.
type StepCost struct {
	Seconds float64            `json:"seconds"`
	CPU     float64            `json:"cpu"`          // CPU seconds of all threads
	Go      float64            `json:"go,omitempty"` // CPU seconds in Go code, with the garbage collector
	Images  int64              `json:"images,omitempty"`
	Peak    float64            `json:"peak"`             // peak memory since the start, in bytes: resident memory, or on CUDA that of the device
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds of each phase
}

// Timed is the result of a workload: medians over all steps but the first, which is a warm-up. Go's
// seconds, which come from a sampling profiler, are a mean.
type Timed struct {
	Workload string `json:"workload"`
	Size
	StepCost           // of this program
	PyTorch  *StepCost `json:"pytorch,omitempty"`
	// Speed is the ratio of PyTorch's seconds to this program's: median, minimum and maximum over the
	// steps. Memory is the ratio of this program's peak memory to PyTorch's.
	Speed  []float64 `json:"speed,omitempty"`
	Memory float64   `json:"memory,omitempty"`
}

// alternate starts the commands and runs their steps in turns. steps[i] are the steps of command i.
func alternate(ctx context.Context, commands [][]string, rounds int) (steps [][]StepCost, err error) {
	steps = make([][]StepCost, len(commands))
	sides := make([]*side, len(commands))
	for i, args := range commands {
		if sides[i], err = begin(ctx, args); err != nil {
			return nil, err
		}
		defer sides[i].end()
	}
	for range rounds {
		for i, s := range sides {
			took, err := s.step()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", commands[i][0], err)
			}
			steps[i] = append(steps[i], took)
		}
	}
	return steps, nil
}

// side is a process that runs a step for every line on its standard input.
type side struct {
	command *exec.Cmd
	release func() // of proc.Bind
	in      io.WriteCloser
	out     *bufio.Scanner
	errs    bytes.Buffer
}

func begin(ctx context.Context, args []string) (*side, error) {
	s := &side{command: exec.CommandContext(ctx, args[0], args[1:]...)}
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

func (s *side) step() (t StepCost, err error) {
	if _, err = fmt.Fprintln(s.in); err == nil && s.out.Scan() {
		return t, json.Unmarshal(s.out.Bytes(), &t)
	}
	err = errors.Join(s.out.Err(), s.end())
	return t, fmt.Errorf("ended early: %v: %s", err, cause(s.errs.String()))
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

func summary(name string, size Size, steps [][]StepCost) Timed {
	t := Timed{Workload: name, Size: size, StepCost: middle(steps[0])}
	if len(steps) > 1 {
		m := middle(steps[1])
		t.PyTorch, t.Memory = &m, t.Peak/m.Peak
		var ratios []float64
		for i := 1; i < len(steps[0]); i++ {
			ratios = append(ratios, steps[1][i].Seconds/steps[0][i].Seconds)
		}
		t.Speed = []float64{median(ratios), slices.Min(ratios), slices.Max(ratios)}
	}
	return t
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
	m := StepCost{Images: last.Images, Peak: last.Peak, Phases: map[string]float64{}}
	m.Seconds, m.CPU = median(of(func(s StepCost) float64 { return s.Seconds })), median(of(func(s StepCost) float64 { return s.CPU }))
	for _, g := range of(func(s StepCost) float64 { return s.Go }) {
		m.Go += g / float64(len(counted))
	}
	for name := range last.Phases {
		m.Phases[name] = median(of(func(s StepCost) float64 { return s.Phases[name] }))
	}
	return m
}
