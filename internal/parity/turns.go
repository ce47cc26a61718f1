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
)

// Took is what one step took.
type Took struct {
	Seconds float64            `json:"seconds"`
	CPU     float64            `json:"cpu"`          // seconds of all threads
	Go      float64            `json:"go,omitempty"` // of these, those in code of Go, the collector's too
	Images  int64              `json:"images,omitempty"`
	Peak    float64            `json:"peak"`             // bytes at most since the start: resident memory, on CUDA the device's
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds
}

// Timed is a workload's result: medians over the rounds after the first, which warms up; of Go's
// seconds, which are sampled, the mean.
type Timed struct {
	Workload string `json:"workload"`
	Size
	Took          // this program's
	PyTorch *Took `json:"pytorch,omitempty"`
	// Speed is, over the rounds, PyTorch's seconds over ours: the median, the least and the most.
	// Memory is our peak over its.
	Speed  []float64 `json:"speed,omitempty"`
	Memory float64   `json:"memory,omitempty"`
}

// alternate starts the commands and lets them step in turns; steps[i] are command i's.
func alternate(ctx context.Context, commands [][]string, rounds int) (steps [][]Took, err error) {
	steps = make([][]Took, len(commands))
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

// side is a process that answers every line by a step.
type side struct {
	command *exec.Cmd
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
	return s, s.command.Start()
}

func (s *side) step() (t Took, err error) {
	if _, err = fmt.Fprintln(s.in); err == nil && s.out.Scan() {
		return t, json.Unmarshal(s.out.Bytes(), &t)
	}
	err = errors.Join(s.out.Err(), s.end())
	return t, fmt.Errorf("ended early: %v: %s", err, cause(s.errs.String()))
}

// end lets the process come to its end; a second call does nothing.
func (s *side) end() error {
	s.in.Close()
	if s.command.ProcessState != nil {
		return nil
	}
	return s.command.Wait()
}

func summary(name string, size Size, steps [][]Took) Timed {
	t := Timed{Workload: name, Size: size, Took: middle(steps[0])}
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

// middle is the median of every figure; the peak is the last one.
func middle(steps []Took) Took {
	last, counted := steps[len(steps)-1], steps[1:]
	of := func(f func(Took) float64) (v []float64) {
		for _, s := range counted {
			v = append(v, f(s))
		}
		return v
	}
	m := Took{Images: last.Images, Peak: last.Peak, Phases: map[string]float64{}}
	m.Seconds, m.CPU = median(of(func(s Took) float64 { return s.Seconds })), median(of(func(s Took) float64 { return s.CPU }))
	for _, g := range of(func(s Took) float64 { return s.Go }) {
		m.Go += g / float64(len(counted))
	}
	for name := range last.Phases {
		m.Phases[name] = median(of(func(s Took) float64 { return s.Phases[name] }))
	}
	return m
}
