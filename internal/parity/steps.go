package parity

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/google/pprof/profile"

	"hdas/datasets"
	"hdas/internal/proc"
	"hdas/models/layer"
	"hdas/run"
	"hdas/search"
	"hdas/torch"
	"hdas/torch/dtype"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// Steps runs the steps of the workload in a folder. For every line of in it runs one step and writes its
// StepCost to out as a line of JSON. Its peak memory is only meaningful in a process that has done
// nothing else.
func Steps(folder string, in io.Reader, out io.Writer) error {
	var t timed
	if err := readJSON(taskFile(folder), &t); err != nil {
		return err
	}
	s, err := newStepper(t, folder)
	if err != nil {
		return err
	}
	defer torch.Do(func(*torch.Scope) error { s.free(); return nil })
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		took, err := s.take()
		if err != nil {
			return err
		}
		if err := answers.Encode(took); err != nil {
			return err
		}
	}
	return nil
}

// Phases are the names of the parts of a step, in order.
var Phases = search.Phases

// stepper holds a network and the function that runs a step of it.
type stepper struct {
	timed
	*instance
	device torch.Device
	images int64 // number of images in a step
	peak   int64 // peak memory so far, in bytes
	step   func(c *clock, train, valid search.Sample)
	free   func()
}

// clock measures the seconds of the parts of a step.
type clock struct {
	device torch.Device
	last   time.Time
	phases map[string]float64
}

func (c *clock) end(phase string) {
	torch.Synchronize(c.device)
	now := time.Now()
	c.phases[phase] += now.Sub(c.last).Seconds()
	c.last = now
}

func newStepper(t timed, folder string) (s *stepper, err error) {
	s = &stepper{timed: t, images: t.Batch, free: func() {}}
	if t.Loader {
		s.instance = &instance{}
		s.step, s.images, err = loading(t)
		return s, err
	}
	if s.device, err = run.Device(t.Device); err != nil {
		return nil, err
	}
	again, err := kernel.ParseRecompute(t.Recompute)
	if err != nil {
		return nil, err
	}
	precision, err := dtype.ParsePrecision(t.Autocast, s.device.IsCUDA())
	if err != nil {
		return nil, err
	}
	path, err := kernel.ParsePath(t.Path)
	if err != nil {
		return nil, err
	}
	err = torch.Do(func(*torch.Scope) (err error) {
		torch.SetThreads(t.Threads)
		torch.SetTF32(precision.TF32)
		if s.instance, err = build(s.device, t.task, folder); err != nil {
			return err
		}
		how := &nn.Ctx{Train: !t.Evaluate, Recompute: again, Path: path, Autocast: precision.Autocast}
		switch {
		case s.supernet != nil:
			s.supernet.Recompute, s.supernet.Path, s.supernet.Autocast = again, path, precision.Autocast
			learn := search.NewBilevel(s.supernet)
			if precision.Autocast == torch.Float16 {
				learn.Arch.ScaleLosses()
				learn.Weights.ScaleLosses()
			}
			if t.Graphs {
				learn.Record()
			}
			s.free = func() { s.instance.free(); learn.Free() }
			s.step = func(c *clock, train, valid search.Sample) {
				learn.Phase = c.end
				learn.Step(s.Weights.Of.LR, true, train, valid).Train.Item()
			}
		case t.Evaluate:
			s.free = s.instance.free
			s.step = s.evaluating(how)
		default:
			step := t.training(s.instance)
			if precision.Autocast == torch.Float16 {
				step.ScaleLosses()
			}
			if t.Graphs {
				step.Record()
			}
			s.free = func() { s.instance.free(); step.Free() }
			s.step = func(c *clock, train, _ search.Sample) {
				step.Phase = c.end
				loss, _ := step.Take(how, s.Weights.Of.LR, whole(train))
				loss.Item()
			}
		}
		return nil
	})
	return s, err
}

func (s *stepper) evaluating(how *nn.Ctx) func(*clock, search.Sample, search.Sample) {
	return func(c *clock, train, _ search.Sample) {
		torch.NoGrad(func() {
			logits, _ := s.derived.Forward(how, train.Images)
			logits.Sum().Item()
		})
		c.end("forward")
	}
}

// loading returns a step that loads all batches of an epoch, and the number of images in it.
func loading(t timed) (step func(*clock, search.Sample, search.Sample), images int64, err error) {
	d, err := datasets.Open("digits", "", datasets.Train) // converted to RGB
	if err == nil {
		d, err = datasets.Pad(d, 2, 0)
	}
	if err != nil {
		return nil, 0, err
	}
	l := &datasets.Loader{Dataset: d, Batch: int(t.Batch), Shuffle: true, Workers: t.Threads, Transform: datasets.Transform{Padding: 4, Flip: true, Cutout: 16}}
	return func(*clock, search.Sample, search.Sample) {
		for _, err := range l.Epoch(context.Background(), 0, 0) {
			if err != nil {
				panic(err) // images in memory can always be read
			}
		}
	}, int64(d.Len()), nil
}

// take runs one step and returns its cost.
func (s *stepper) take() (took StepCost, err error) {
	var samples [2]search.Sample
	took.Images, took.Phases = s.images, map[string]float64{}
	var profiled bytes.Buffer
	err = torch.Do(func(*torch.Scope) error {
		for i := range samples {
			if !s.Loader {
				samples[i] = s.sample(s.image)
			}
		}
		torch.Synchronize(s.device)
		if err = pprof.StartCPUProfile(&profiled); err != nil {
			return nil
		}
		start, cpu := time.Now(), processors()
		step := func() {
			torch.Within(func(*torch.Scope) {
				s.step(&clock{device: s.device, last: start, phases: took.Phases}, samples[0], samples[1])
			})
		}
		if s.Launches {
			once := step
			step = func() { took.Launches = torch.Launches(once) }
		}
		if s.device.IsCUDA() {
			s.peak = max(s.peak, torch.PeakMemory(s.device, step))
		} else {
			step()
			s.peak = proc.Process("VmHWM")
		}
		took.Seconds, took.CPU = time.Since(start).Seconds(), processors()-cpu
		pprof.StopCPUProfile()
		took.Peak = float64(s.peak)
		return nil
	})
	if err == nil {
		took.Go, err = secondsOfGo(&profiled)
		took.Go = min(took.Go, took.CPU) // a sample of the profile counts as 10 ms, more than a short step takes
	}
	return took, err
}

func (s *stepper) sample(image layer.Shape) search.Sample {
	o := s.weights.Options()
	return search.Sample{
		Images: torch.Randn(o, s.Batch, image.C, image.H, image.W),
		Labels: s.labels(s.Batch).ToDevice(s.device),
	}
}

// processors returns the CPU time of all threads of the process so far, in seconds.
func processors() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// secondsOfGo returns the seconds of a CPU profile that were spent in Go code, with the Go runtime and
// without calls of C.
func secondsOfGo(profiled io.Reader) (float64, error) {
	p, err := profile.Parse(profiled)
	if err != nil {
		return 0, fmt.Errorf("this program's profile: %w", err)
	}
	total := int64(0)
	for _, s := range p.Sample {
		if len(s.Location) == 0 || len(s.Location[0].Line) == 0 || s.Location[0].Line[0].Function == nil {
			continue
		}
		switch s.Location[0].Line[0].Function.Name {
		case "", "runtime.cgocall", "runtime.asmcgocall", "runtime._ExternalCode": // C functions have no names in the profile
		default:
			total += s.Value[len(s.Value)-1]
		}
	}
	return float64(total) / 1e9, nil
}
