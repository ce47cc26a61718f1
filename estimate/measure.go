package estimate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoMemory is the error of a Probe that had too little memory.
var ErrNoMemory = errors.New("too little memory")

// Probe is a run of which parts can be measured with any batch.
type Probe interface {
	// Peak builds the network, runs two steps and a batch of the evaluation, and returns the peak memory of
	// tensors in bytes.
	Peak(ctx context.Context, batch int) (bytes int64, err error)
	// Steps runs steps of that epoch, from 0, and calls lap with the seconds of each, loading included, until
	// lap returns false.
	Steps(ctx context.Context, batch, epoch int, lap func(seconds float64) bool) error
	// Evaluate runs batches of the evaluation, which are twice as large, in the same way.
	Evaluate(ctx context.Context, batch int, lap func(seconds float64) bool) error
}

// Run is what is known of a run without measuring.
type Run struct {
	Name          string
	Key, Less     string // the key of the batch; what would need less memory
	Weights, Arch int64
	MACs          int64 // multiply-adds for an image, without the auxiliary head; of a supernet, with all candidates
	Cells         int   // reduction cells included
	Batch         int
	Images        int     // in an epoch; no batch can be larger
	Steps         int     // in an epoch
	Evaluations   int     // batches of the evaluation after an epoch
	Phases        []Phase // in order
	Image         int64   // bytes of the batches that the loaders make ahead, for each image of a batch
	Heap          Heap
	// Extra measures what else is done after each epoch, with that batch; it may be nil.
	Extra func(ctx context.Context, batch int) (Seconds, error)
}

// Phase is a number of epochs whose steps compute the same. At is one of them.
type Phase struct{ Epochs, At int }

// Machine is where the runs compute.
type Machine struct {
	Device  string
	Threads int
	Free    int64   // bytes that the runs can use, Fixed included; 0: unknown
	Fixed   int64   // bytes that a run needs besides tensors
	Runs    int     // number of runs; 0: one
	AtOnce  int     // of them; 0: one
	Warm    int     // first repetitions that take longer than the others; 0: one
	Quick   float64 // seconds of a measurement of memory up to which one with a larger batch follows; 0: half a second
	// Confine makes allocations fail that the free memory cannot hold, until undo is called; it may be nil.
	Confine func() (undo func())
}

// Measuring is bounded: steps are timed with a batch for which one is expected to take no longer than longStep
// seconds, or Machine.Quick seconds if the run does not fit anyway; more than three batches are measured for memory
// only while that takes no longer than Machine.Quick seconds.
const (
	least    = 2 // the smallest batch: batch norm needs two images
	longStep = 5
)

// Measure predicts time and memory. note is called with each measurement, one sentence; it may be nil.
func Measure(ctx context.Context, p Probe, r Run, m Machine, note func(string)) (Estimate, error) {
	if note == nil {
		note = func(string) {}
	}
	defer m.confine()()
	r.Batch = min(r.Batch, r.Images)
	part := m.part(r)
	var seconds float64 // of an image in a step, roughly
	for batch := min(least, r.Batch); ; batch = min(2*batch, r.Batch) {
		took, err := part.Memory.measure(ctx, p, batch)
		switch {
		case errors.Is(err, ErrNoMemory):
			note(fmt.Sprintf("batch %d: there is not enough memory", batch))
			batch = r.Batch
		case err != nil:
			return Estimate{}, err
		default:
			seconds = took / 3 / float64(batch) // two steps, and an evaluation and the building
			note(fmt.Sprintf("batch %d: peak memory of tensors %s", batch, Size(part.Memory.Points[len(part.Memory.Points)-1].Bytes)))
		}
		next := part.Memory.At(2 * batch).High
		if batch == r.Batch || m.over(next) || len(part.Memory.Points) >= 3 && (took > m.quick() || m.over(2*next)) {
			break
		}
	}
	e := m.estimate(part)
	if len(part.Memory.Points) == 0 {
		return e, nil
	}
	batch, longest := r.Batch, float64(longStep)
	if !e.Fits {
		longest = m.quick()
	}
	done := part.Memory.Points[len(part.Memory.Points)-1].Batch
	for batch > done && (m.over(part.Memory.At(batch).High) || seconds*float64(batch) > longest) {
		batch = max(done, batch/2)
	}
	err := e.time(ctx, p, r, batch, max(1, m.Warm), note)
	for ; errors.Is(err, ErrNoMemory) && batch > done; err = e.time(ctx, p, r, batch, max(1, m.Warm), note) {
		note(fmt.Sprintf("batch %d: there is not enough memory", batch))
		e.Fits = false // the prediction, or what is free, is wrong
		batch = max(done, batch/2)
		e.Parts[0].LargestBatch = batch
	}
	return e, err
}

// Check predicts the memory alone, in the time of a few small steps: of one if the weights, counted for each
// image, would fit as well.
func Check(ctx context.Context, p Probe, r Run, m Machine) (Estimate, error) {
	defer m.confine()()
	r.Batch = min(r.Batch, r.Images)
	part := m.part(r)
	for batch := min(least, r.Batch); len(part.Memory.Points) < 3; batch = min(2*batch, r.Batch) {
		if _, err := part.Memory.measure(ctx, p, batch); err != nil {
			if errors.Is(err, ErrNoMemory) {
				break
			}
			return Estimate{}, err
		}
		if batch == r.Batch || !m.over(part.Memory.At(r.Batch).High) || m.over(part.Memory.At(2*batch).High) {
			break
		}
	}
	return m.estimate(part), nil
}

func (m Machine) quick() float64 { return cmp.Or(m.Quick, 0.5) }

func (m Machine) confine() (undo func()) {
	if m.Confine == nil {
		return func() {}
	}
	return m.Confine()
}

// over reports whether runs of that memory are known not to fit.
func (m Machine) over(bytes int64) bool { return m.Free > 0 && bytes*int64(max(1, m.AtOnce)) > m.Free }

func (m Machine) part(r Run) Part {
	p := Part{Name: r.Name, Key: r.Key, Less: r.Less, Runs: max(1, m.Runs), AtOnce: max(1, m.AtOnce), Weights: r.Weights, Arch: r.Arch, Steps: r.Steps, Batch: r.Batch,
		Memory: Memory{Fixed: m.Fixed, Image: r.Image, Heap: r.Heap}}
	for _, phase := range r.Phases {
		p.Epochs += phase.Epochs
	}
	p.LargestBatch = r.Images // bounds the search for it
	return p
}

// estimate returns the estimate of a part without its time.
func (m Machine) estimate(p Part) Estimate {
	e := Estimate{Device: m.Device, Threads: m.Threads, Free: m.Free}
	most := max(p.LargestBatch, p.Batch)
	p.LargestBatch = 0
	if len(p.Memory.Points) == 0 { // not even the smallest batch
		p.Memory.Bytes = Bytes{m.Free, m.Free + 1}
	} else {
		p.Memory.Bytes = p.Memory.At(p.Batch)
		if m.Free > 0 {
			p.LargestBatch = p.Memory.Largest(m.Free/int64(p.AtOnce), least, most)
		}
	}
	e.Bytes = Bytes{p.Memory.Bytes.Predicted * int64(p.AtOnce), p.Memory.Bytes.High * int64(p.AtOnce)}
	e.Fits = !m.over(p.Memory.Bytes.High)
	e.Parts = []Part{p}
	return e
}

// measure adds a point and returns the seconds that it took.
func (m *Memory) measure(ctx context.Context, p Probe, batch int) (seconds float64, err error) {
	began := time.Now()
	bytes, err := p.Peak(ctx, batch)
	if err != nil {
		return 0, err
	}
	m.Points = append(m.Points, Point{batch, bytes})
	return time.Since(began).Seconds(), nil
}

// time adds the time of the only part, from steps with that batch and, if it is not that of the run, half of
// it.
func (e *Estimate) time(ctx context.Context, p Probe, r Run, batch, warm int, note func(string)) error {
	part := &e.Parts[0]
	part.Run = Seconds{}
	measure := func(run func(ctx context.Context, batch int, lap func(float64) bool) error, what string) (Seconds, int, error) {
		whole, n, err := repeat(ctx, run, batch, warm)
		if err != nil {
			return whole, n, err
		}
		note(fmt.Sprintf("batch %d: %s takes %.3f s, the median of %d", batch, what, whole.Median, n))
		half := Seconds{}
		if batch != r.Batch && batch/2 >= least {
			if half, _, err = repeat(ctx, run, batch/2, warm); err != nil {
				return whole, n, err
			}
		}
		return extrapolate(half, whole, float64(r.Batch)/float64(batch)), n, nil
	}
	evaluation, _, err := measure(p.Evaluate, "a batch of the evaluation")
	if err != nil {
		return err
	}
	part.Evaluation = evaluation.Times(float64(r.Evaluations))
	if r.Extra != nil {
		extra, err := r.Extra(ctx, batch)
		if err != nil {
			return err
		}
		part.Evaluation = part.Evaluation.Plus(extra.Times(float64(r.Batch) / float64(batch)))
	}
	for _, phase := range r.Phases {
		steps := func(ctx context.Context, batch int, lap func(float64) bool) error {
			return p.Steps(ctx, batch, phase.At, lap)
		}
		var n int
		if part.Step, n, err = measure(steps, "a step"); err != nil {
			return err
		}
		part.Timed = Timed{batch, n}
		part.Run = part.Run.Plus(part.Step.Times(float64(r.Steps)).Plus(part.Evaluation).Times(float64(phase.Epochs)))
	}
	e.Seconds = part.Run.Times(float64((part.Runs + part.AtOnce - 1) / part.AtOnce))
	return nil
}

// extrapolate returns the time with a batch that is `times` as large as that of whole; half is that of half
// the batch, if it was measured. A part of the time does not grow with the batch, so the line through both is
// the expectation and the proportional time the upper end.
func extrapolate(half, whole Seconds, times float64) Seconds {
	out := whole.Times(times)
	if times <= 1 || half.Median == 0 || half.Median >= whole.Median || whole.Median > 2*half.Median {
		return out
	}
	part := (whole.Median + 2*(whole.Median-half.Median)*(times-1)) / out.Median
	return Seconds{out.Median * part, out.Low * part, out.High}
}

// repeat returns the time of a repeated part of a run, the first warm repetitions not counted, and the number of
// those that are: three, or five if these take less than ten seconds, and as many as fit into half a second.
func repeat(ctx context.Context, run func(ctx context.Context, batch int, lap func(float64) bool) error, batch, warm int) (Seconds, int, error) {
	var times []float64
	sum := 0.0
	err := run(ctx, batch, func(seconds float64) bool {
		if warm--; warm >= 0 {
			return true
		}
		times, sum = append(times, seconds), sum+seconds
		n := len(times)
		return n < 3 || n < 5 && sum < 10 || sum < 0.5
	})
	return Of(times), len(times), err
}
