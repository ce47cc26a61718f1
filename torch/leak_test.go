package torch_test

import (
	"runtime/debug"
	"testing"

	"hdas/internal/proc"
	"hdas/internal/torchtest"
	"hdas/torch"
)

// resident is the memory of this process that is in use, in bytes, without what Go's collector
// could give back.
func resident(t *testing.T) int64 {
	debug.FreeOSMemory()
	used := proc.Process("VmRSS")
	if used == 0 {
		t.Fatal("the system does not say how much memory is in use")
	}
	return used
}

// oneThread is for operations so small that they only wait for a second thread, for long when
// other programs run. What it returns puts the number back.
func oneThread() func() {
	was := torch.Threads()
	torch.SetThreads(1)
	return func() { torch.SetThreads(was) }
}

// trainer is a small network with all that a training step does.
type trainer struct {
	weights, buffers []torch.Tensor
	mean, variance   torch.Tensor
	x, labels        torch.Tensor
	used             bool
}

func newTrainer() *trainer {
	torch.Seed(1)
	n := &trainer{}
	o := torchtest.Options(torch.Float32)
	for _, shape := range [][]int64{{4, 3, 3, 3}, {4}, {4}, {4, 1, 3, 3}, {5, 36}, {5}} {
		w := torch.Zeros(o, shape...).Uniform_(-0.5, 0.5)
		n.weights = append(n.weights, w.SetRequiresGrad(true))
		n.buffers = append(n.buffers, torch.Zeros(o, shape...))
	}
	n.mean, n.variance = torch.Zeros(o, 4), torch.Ones(o, 4)
	n.x = torch.Randn(o, 4, 3, 6, 6)
	n.labels = torchtest.Int64s([]int64{0, 1, 2, 4}, 4)
	return n
}

func (n *trainer) loss() torch.Tensor {
	w := n.weights
	x := torch.Conv2d(n.x, w[0], torch.Tensor{}, torch.ConvOptions{Padding: []int64{1}})
	x = torch.BatchNorm(x, w[1], w[2], n.mean, n.variance, true, 0.1, 1e-5).ReLU()
	x = torch.Conv2d(x, w[3], torch.Tensor{}, torch.ConvOptions{Padding: []int64{1}, Groups: 4})
	x = torch.AvgPool2d(torch.MaxPool2d(x, 3, 1, 1), 3, 2, 1)
	return torch.CrossEntropy(torch.Linear(x.Reshape(4, -1), w[4], w[5]), n.labels, 0.1)
}

func (n *trainer) step() {
	torch.Within(func(*torch.Scope) {
		grads := torch.Grad(n.loss(), n.weights)
		torch.ClipGradNorm(grads, 5)
		fresh := make([]bool, len(grads))
		for i := range fresh {
			fresh[i] = !n.used
		}
		torch.SGDStep(n.weights, grads, n.buffers, fresh, torch.SGDOptions{LR: 0.01, Momentum: 0.9, WeightDecay: 1e-4})
		n.used = true
	})
}

func TestStepsLeaveNothingBehind(t *testing.T) {
	torchtest.OnCPU(t)
	// 9,000 steps that each forgot one tensor's header and storage (about 500 bytes) would take
	// 4.5 MB. Thread stacks and the allocator's arenas are full after the warm-up; what still moves
	// is Go's own heap, by some hundred kB.
	const warm, steps, tolerance = 1000, 10000, 3 << 20
	do(t, func(*torch.Scope) {
		defer oneThread()()
		n := newTrainer()
		first := n.loss().Item()
		live := torch.Live()
		var before int64
		for i := range steps {
			if i == warm {
				before = resident(t)
			}
			if n.step(); torch.Live() != live {
				t.Fatalf("step %d: %d live tensors, %d before it", i, torch.Live(), live)
			}
		}
		if grown := resident(t) - before; grown > tolerance {
			t.Errorf("resident memory has grown by %d bytes in %d steps", grown, steps-warm)
		} else {
			t.Logf("resident memory has grown by %d bytes in %d steps", grown, steps-warm)
		}
		// Smoothing by 0.1 over 5 classes leaves at least its entropy, 0.39, of log 5 = 1.61.
		if last := n.loss().Item(); last > 0.45 || first < 1 {
			t.Errorf("the loss went from %v to %v", first, last)
		}
	})
}

func TestInPlaceOperationsLeaveNothingBehind(t *testing.T) {
	torchtest.OnCPU(t)
	// libtorch gives a second handle on the tensor; one forgotten keeps the whole storage. 256 kB
	// a round, 500 rounds: 128 MB if it leaked, 16 MB of room for the allocator.
	const rounds, elements, tolerance = 500, 64 << 10, 16 << 20
	ops := map[string]func(t, u torch.Tensor) torch.Tensor{
		"add_":        func(t, u torch.Tensor) torch.Tensor { return t.Add_(u) },
		"add_ scalar": func(t, _ torch.Tensor) torch.Tensor { return t.AddScalar_(1) },
		"clamp_":      func(t, _ torch.Tensor) torch.Tensor { return t.Clamp_(-1, 1) },
		"mul_ scalar": func(t, _ torch.Tensor) torch.Tensor { return t.MulScalar_(0.5) },
		"zero_":       func(t, _ torch.Tensor) torch.Tensor { return t.Zero_() },
		"copy_":       func(t, u torch.Tensor) torch.Tensor { return t.Copy_(u) },
		"uniform_":    func(t, _ torch.Tensor) torch.Tensor { return t.Uniform_(0, 1) },
		"bernoulli_":  func(t, _ torch.Tensor) torch.Tensor { return t.Bernoulli_(0.5) },
	}
	for name, op := range ops {
		t.Run(name, func(t *testing.T) {
			do(t, func(*torch.Scope) {
				defer oneThread()()
				u := torch.Ones(torchtest.Options(torch.Float32), elements)
				live := torch.Live()
				round := func() {
					x := torch.Zeros(torchtest.Options(torch.Float32), elements)
					if y := op(x, u); y != x {
						t.Fatal("the result is not the tensor itself")
					}
					x.Free()
					if torch.Live() != live {
						t.Fatalf("%d live tensors, not %d", torch.Live(), live)
					}
				}
				round()
				before := resident(t)
				for range rounds {
					round()
				}
				if grown := resident(t) - before; grown > tolerance {
					t.Errorf("resident memory has grown by %d bytes", grown)
				}
			})
		})
	}
}

// A failed call is freed like any other, in libtorch too.
func TestErrorsLeaveNothingBehind(t *testing.T) {
	torchtest.OnCPU(t)
	// One forgotten operand of 400 kB in 200 calls, each a few ms for the C++ stack that libtorch
	// collects, would be 80 MB.
	const rounds, tolerance = 200, 16 << 20
	fail := func() {
		err := torch.Do(func(*torch.Scope) error {
			defer oneThread()()
			x := torch.Zeros(torchtest.Options(torch.Float32), 100000)
			torch.Within(func(*torch.Scope) { x.AddScalar(1).Add(torch.Zeros(torchtest.Options(torch.Float32), 99999)) })
			return nil
		})
		if err == nil {
			t.Fatal("no error")
		}
	}
	live := torch.Live()
	for range 20 {
		fail()
	}
	before := resident(t)
	for range rounds {
		fail()
	}
	if torch.Live() != live {
		t.Errorf("%d live tensors, %d before", torch.Live(), live)
	}
	if grown := resident(t) - before; grown > tolerance {
		t.Errorf("resident memory has grown by %d bytes", grown)
	}
}
