package estimate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// fake is a run whose step needs fixed bytes and some for each image, or twice as many for each image beyond a
// number of images; its times are given, and it has no more memory than most.
type fake struct {
	fixed, image int64
	beyond       int
	most         int64
	second       float64 // of an image in a step
	peaks        []int   // batches for which Peak was called
	timed        []int
}

func (f *fake) peak(batch int) int64 {
	return f.fixed + f.image*int64(batch+max(0, batch-f.beyond))
}

func (f *fake) Peak(_ context.Context, batch int) (int64, error) {
	f.peaks = append(f.peaks, batch)
	if f.peak(batch) > f.most {
		return 0, fmt.Errorf("%w: %d", ErrNoMemory, batch)
	}
	return f.peak(batch), nil
}

func (f *fake) Steps(_ context.Context, batch, epoch int, lap func(float64) bool) error {
	f.timed = append(f.timed, batch)
	if f.peak(batch) > f.most {
		return ErrNoMemory
	}
	for i := 0; ; i++ {
		times := []float64{100, 3, 2, 4, 1, 5}[min(i, 5)] // the first is a warm-up
		if !lap(f.second * times * float64(batch) * float64(1+epoch)) {
			return nil
		}
	}
}

func (f *fake) Evaluate(ctx context.Context, batch int, lap func(float64) bool) error {
	return f.Steps(ctx, batch, 0, lap)
}

const free = 10_000_000

func machineOf(*fake) Machine { return Machine{Device: "cpu", Free: free, Fixed: 1000} }

func newFake() *fake {
	return &fake{fixed: 2000, image: 50_000, beyond: 1 << 30, most: free, second: 1e-2}
}

func runOf(batch int) Run {
	return Run{Name: "search", Key: "search.batch", Less: "recompute", Batch: batch, Images: 1000, Steps: 10, Evaluations: 4, Phases: []Phase{{2, 0}, {3, 1}}, Image: 10, Heap: Storing}
}

// The memory follows from small batches, and the largest batch that fits is the one before the first that does
// not. No batch is tried that is known not to fit.
func TestMeasureMemory(t *testing.T) {
	for _, batch := range []int{2, 7, 64, 400, 900} {
		f := newFake()
		e, err := Measure(t.Context(), f, runOf(batch), machineOf(f), nil)
		if err != nil {
			t.Fatal(err)
		}
		m := e.Parts[0].Memory
		want := 1000 + 10*int64(batch) + f.peak(batch)
		if got := e.Bytes.Predicted; math.Abs(float64(got)-(1+Storing.Usual)*float64(want)) > 0.01*float64(want) || e.Bytes.High < got {
			t.Errorf("batch %d: %+v predicted of %d, from %v", batch, e.Bytes, want, m.Points)
		}
		largest := e.Parts[0].LargestBatch
		if m.At(largest).High > free || m.At(largest+1).High <= free || largest < 150 || largest > 200 {
			t.Errorf("batch %d: the largest batch is %d", batch, largest)
		}
		if e.Fits != (batch <= largest) {
			t.Errorf("batch %d of at most %d: fits is %t", batch, largest, e.Fits)
		}
		if slices.Max(f.peaks) > largest || slices.Max(f.timed) > largest || !slices.IsSorted(f.peaks) || len(f.peaks) > 10 {
			t.Errorf("batch %d: measured with %v and %v", batch, f.peaks, f.timed)
		}
	}
}

// Where the memory of larger batches grows faster, the upper end of the prediction covers what was seen of that.
func TestMemoryThatGrowsFaster(t *testing.T) {
	m := Memory{Heap: Storing, Points: []Point{{2, 200}, {4, 300}, {8, 700}}}
	if at := m.At(16); at.High < int64(float64(at.Predicted)*1.1) || at.Predicted < 1500 || at.High < at.Predicted+2*200 {
		t.Errorf("%+v", at)
	}
	one := Memory{Points: []Point{{2, 200}}}
	if got := one.At(6).Predicted; got < 600 {
		t.Errorf("%d bytes of one point, which is no upper bound", got)
	}
}

// A run whose smallest batch does not fit is an answer, not an error; so is one that has less memory than it
// seemed.
func TestTooLittleMemory(t *testing.T) {
	f := newFake()
	f.fixed = free
	for _, measure := range []func() (Estimate, error){
		func() (Estimate, error) { return Measure(t.Context(), f, runOf(64), machineOf(f), nil) },
		func() (Estimate, error) { return Check(t.Context(), f, runOf(64), machineOf(f)) },
	} {
		e, err := measure()
		if err != nil || e.Fits || e.Parts[0].LargestBatch != 0 || len(f.timed) > 0 {
			t.Errorf("%+v, %v", e, err)
		}
		if text := e.Warning(); !strings.Contains(text, "no batch would fit") {
			t.Errorf("warning %q", text)
		}
	}
	f = newFake()
	f.most = 30 * f.image // less than is said to be free
	e, err := Measure(t.Context(), f, runOf(100), machineOf(f), nil)
	if p := e.Parts[0]; err != nil || e.Fits || p.Timed.Batch > 30 || p.LargestBatch > 30 || p.LargestBatch < 8 || math.Abs(p.Step.Median-2*3*1) > 1e-6 {
		t.Errorf("%+v, %v", e, err)
	}
	other := errors.New("other")
	if _, err := Check(t.Context(), failing{other}, runOf(64), Machine{Free: 1}); !errors.Is(err, other) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ error }

func (f failing) Peak(context.Context, int) (int64, error)                  { return 0, f.error }
func (f failing) Steps(context.Context, int, int, func(float64) bool) error { return f.error }
func (f failing) Evaluate(context.Context, int, func(float64) bool) error   { return f.error }

// The check before a run measures one small step if that suffices, and warns with the batch that fits.
func TestCheck(t *testing.T) {
	for batch, peaks := range map[int]int{2: 1, 64: 1, 180: 3, 300: 3} {
		f := newFake()
		e, err := Check(t.Context(), f, runOf(batch), machineOf(f))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.peaks) > peaks || len(f.timed) > 0 {
			t.Errorf("batch %d: measured with %v and %v", batch, f.peaks, f.timed)
		}
		text := e.Warning()
		if fits := batch < 180; fits != (text == "") {
			t.Errorf("batch %d: the warning is %q", batch, text)
		} else if !fits && (!strings.Contains(text, fmt.Sprintf("search.batch=%d would fit", e.Parts[0].LargestBatch)) || !strings.Contains(text, "recompute")) {
			t.Errorf("batch %d: %q", batch, text)
		}
	}
	few := runOf(1000) // no batch is larger than the data set
	few.Images = 100
	if e, err := Check(t.Context(), newFake(), few, machineOf(nil)); err != nil || !e.Fits || e.Parts[0].Batch != 100 {
		t.Errorf("%+v, %v", e, err)
	}
	f := newFake()
	if e, err := Check(t.Context(), f, runOf(1000), Machine{Device: "cpu"}); err != nil || !e.Fits || e.Warning() != "" {
		t.Errorf("without knowing the free memory: %+v, %v", e, err)
	}
}

// The time is the median of repeated steps with their range, the first not counted, over all phases and with the
// evaluation after each epoch.
func TestMeasureTime(t *testing.T) {
	f := newFake()
	var notes []string
	e, err := Measure(t.Context(), f, runOf(20), machineOf(f), func(text string) { notes = append(notes, text) })
	if err != nil {
		t.Fatal(err)
	}
	// The times of five steps: 3, 2, 4, 1, 5, of 0.01 s for each of 20 images.
	step := Seconds{0.2 * 3, 0.2 * 1, 0.2 * 5}
	near := func(a, b Seconds) bool {
		return math.Abs(a.Median-b.Median) < 1e-9 && math.Abs(a.Low-b.Low) < 1e-9 && math.Abs(a.High-b.High) < 1e-9
	}
	p := e.Parts[0]
	if !near(p.Step, step.Times(2)) || p.Timed != (Timed{20, 5}) || !near(p.Evaluation, step.Times(4)) {
		t.Errorf("%+v", p)
	}
	// Two epochs of 10 steps, three of 10 steps that take twice as long, five evaluations.
	if want := step.Times(2*10 + 3*10*2 + 5*4); !near(e.Seconds, want) || !near(p.Run, want) || p.Epochs != 5 {
		t.Errorf("%+v, not %+v", e.Seconds, want)
	}
	if len(notes) < 4 || !strings.Contains(notes[0], "batch 2") {
		t.Errorf("notes %q", notes)
	}
}

// A run that does not fit is timed with a smaller batch; the part of the time that does not grow with the batch
// counts once.
func TestExtrapolatedTime(t *testing.T) {
	f := newFake()
	e, err := Measure(t.Context(), f, runOf(800), machineOf(f), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := e.Parts[0]; p.Timed.Batch >= 200 || math.Abs(p.Step.Median-2*3*8) > 1e-6 {
		t.Errorf("%+v", p)
	}
	half, whole := Seconds{2, 1, 3}, Seconds{3, 2, 5} // 1 s, and 2 s for each whole batch
	if got := extrapolate(half, whole, 4); math.Abs(got.Median-9) > 1e-9 || got.High != 20 || got.Low > 8 || got.Low < 4 {
		t.Errorf("%+v", got)
	}
	if got := extrapolate(Seconds{}, whole, 1); got != whole {
		t.Errorf("%+v", got)
	}
}

// Several runs take as much memory as those at once, and as much time as one after the other.
func TestSeveralRuns(t *testing.T) {
	f := newFake()
	m := machineOf(f)
	one, err := Measure(t.Context(), f, runOf(20), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Runs, m.AtOnce = 5, 2
	many, err := Measure(t.Context(), newFake(), runOf(20), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if many.Bytes.Predicted != 2*one.Bytes.Predicted || many.Bytes.High != 2*one.Bytes.High || math.Abs(many.Seconds.Median-3*one.Seconds.Median) > 1e-9 {
		t.Errorf("%+v of five is not %+v of one", many, one)
	}
	if a, b := many.Parts[0].LargestBatch, one.Parts[0].LargestBatch; a > b/2+1 || a < b/2-1 {
		t.Errorf("the largest batch is %d of two at once, %d of one", a, b)
	}
	m.AtOnce = 8
	e, err := Check(t.Context(), newFake(), runOf(60), m)
	if text := e.Warning(); err != nil || !strings.Contains(text, "search, 8 at once, will") || !strings.Contains(text, "fewer at once, recompute") {
		t.Errorf("%q, %v", text, err)
	}
	one.Assumed, many.Assumed = []string{"a", "b"}, []string{"b"}
	both := Join(one, many)
	if both.Bytes != many.Bytes || both.Seconds != one.Seconds.Plus(many.Seconds) || len(both.Parts) != 2 || !both.Fits || !slices.Equal(both.Assumed, []string{"a", "b"}) {
		t.Errorf("%+v", both)
	}
}

// The first repetitions of a device that records steps do not count.
func TestWarm(t *testing.T) {
	m := machineOf(nil)
	m.Warm = 3
	e, err := Measure(t.Context(), newFake(), runOf(16), m, nil)
	if step := e.Parts[0].Step; err != nil || math.Abs(step.Median-5*16e-2*2) > 1e-9 {
		t.Errorf("%+v, %v", step, err)
	}
}
