package torch_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/versions"
)

func TestParseDevice(t *testing.T) {
	n := torch.CUDADevices()
	first := torch.CPU
	if n > 0 {
		first = torch.CUDA(0)
	}
	good := map[string]torch.Device{"cpu": torch.CPU, "auto": first}
	none := torch.NoCUDA()
	if n > 0 {
		none = fmt.Sprintf("there are %d CUDA devices", n)
	}
	bad := map[string]string{fmt.Sprintf("cuda:%d", n): none, "cuda:99": none}
	for _, name := range []string{"", "CPU", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda0", "cudax", "cuda:1.5", " cpu"} {
		bad[name] = "known are auto, cpu, cuda, cuda:N"
	}
	if n > 0 {
		good["cuda"] = torch.CUDA(0)
	} else {
		bad["cuda"] = none
	}
	for i := range n {
		good[fmt.Sprintf("cuda:%d", i)] = torch.CUDA(i)
	}
	for name, want := range good {
		if got, err := torch.ParseDevice(name); got != want || err != nil {
			t.Errorf("%q is %v, %v", name, got, err)
		}
	}
	for name, want := range bad {
		if got, err := torch.ParseDevice(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) || got != torch.CPU {
			t.Errorf("%q is %v, %v", name, got, err)
		}
	}
}

func TestDeviceAndTypeNames(t *testing.T) {
	if torch.CPU.String() != "cpu" || torch.CUDA(0).String() != "cuda:0" || torch.CUDA(3).String() != "cuda:3" {
		t.Error(torch.CPU, torch.CUDA(0), torch.CUDA(3))
	}
	var zero torch.Options
	if torch.CPU.IsCUDA() || !torch.CUDA(0).IsCUDA() || zero.Device != torch.CPU {
		t.Error("CPU and CUDA are mixed up")
	}
	types := map[torch.DType]struct {
		name string
		size int64
	}{
		torch.Uint8: {"uint8", 1}, torch.Bool: {"bool", 1}, torch.Float16: {"float16", 2}, torch.BFloat16: {"bfloat16", 2},
		torch.Float32: {"float32", 4}, torch.Int64: {"int64", 8}, torch.Float64: {"float64", 8},
		torch.Int32: {"int32", 4}, torch.Int16: {"int16", 2}, torch.Int8: {"int8", 1},
	}
	do(t, func(*torch.Scope) {
		for d, want := range types {
			if d.String() != want.name || d.Size() != want.size {
				t.Errorf("%v of %d bytes, want %v", d, d.Size(), want)
			}
			// libtorch agrees on the number and on the size.
			if x := torch.Ones(torchtest.Options(torch.Float32), 3).To(d); x.DType() != d || int64(len(x.Bytes())) != 3*want.size {
				t.Errorf("%v where %v was asked for", x, d)
			}
		}
	})
	if torch.DType(len(types)).Known() {
		t.Error("an element type is not tested")
	}
	if _, ok := versions.Of(torch.Version()); !ok {
		t.Errorf("libtorch %s is not one of the supported versions, %s", torch.Version(), versions.Names())
	}
}

// A missing CUDA device is an error like others.
func TestNoSuchDevice(t *testing.T) {
	missing := torch.CUDA(torch.CUDADevices())
	for name, f := range map[string]func(){
		"zeros": func() { torch.Zeros(torch.Options{Device: missing}, 1) },
		"to":    func() { torch.Ones(torchtest.Options(torch.Float32), 1).ToDevice(missing) },
		"state": func() { torch.GeneratorState(missing) },
	} {
		before := torch.Live()
		if err := torch.Do(func(*torch.Scope) error { f(); return nil }); err == nil || strings.Contains(err.Error(), "frame #") || torch.Live() != before {
			t.Errorf("%s on %v: %v", name, missing, err)
		}
	}
}

// Without a device there is a reason, which a device's error gives, too.
func TestNoCUDA(t *testing.T) {
	why := torch.NoCUDA()
	if (why == "") != (torch.CUDADevices() > 0) {
		t.Errorf("%d devices: %q", torch.CUDADevices(), why)
	}
	if _, err := torch.ParseDevice("cuda"); why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
		t.Errorf("%v does not say %q", err, why)
	}
}

func TestSeed(t *testing.T) {
	torchtest.OnCPU(t)
	draws := func(seed uint64, f func() torch.Tensor) (got []float64) {
		do(t, func(*torch.Scope) {
			torch.Seed(seed)
			got = f().Float64s()
		})
		return got
	}
	uniform := func() torch.Tensor { return torch.Zeros(torchtest.Options(torch.Float32), 3).Uniform_(0, 1) }
	normal := func() torch.Tensor { return torch.Randn(torchtest.Options(torch.Float32), 3) }
	// torch.manual_seed(0); torch.rand(3), and torch.randn(3), as PyTorch prints them.
	for _, c := range []struct {
		draw func() torch.Tensor
		want []float64
	}{
		{uniform, []float64{0.4963, 0.7682, 0.0885}},
		{normal, []float64{1.5410, -0.2934, -2.1788}},
	} {
		got := draws(0, c.draw)
		for i, w := range c.want {
			if math.Abs(got[i]-w) > 0.00005 {
				t.Errorf("seed 0 gives %v, PyTorch %v", got, c.want)
			}
		}
		if !reflect.DeepEqual(got, draws(0, c.draw)) || reflect.DeepEqual(got, draws(1, c.draw)) || reflect.DeepEqual(got, draws(1<<31, c.draw)) {
			t.Error("draws are not a function of the seed")
		}
	}
}

func TestGeneratorState(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		do(t, func(*torch.Scope) {
			torch.Seed(7)
			draw := func() []byte {
				return bytes.Join([][]byte{
					// An odd number of normal draws leaves one over in the generator.
					torch.Randn(k.Options, 3).Bytes(),
					torch.Zeros(k.Options, 5).Uniform_(-1, 1).Bytes(),
					torch.Zeros(k.Options, 5).Bernoulli_(0.5).Bytes(),
				}, nil)
			}
			for range 3 {
				draw()
				live := torch.Live()
				state := torch.GeneratorState(k.Device)
				first, second := draw(), draw()
				torch.SetGeneratorState(k.Device, state)
				if again := draw(); !bytes.Equal(again, first) {
					t.Error("other numbers from the same state")
				}
				if again := draw(); !bytes.Equal(again, second) || bytes.Equal(first, second) {
					t.Error("other numbers later from the same state")
				}
				// 12 results of draw, none of the state.
				if made := torch.Live() - live; made != 12 {
					t.Errorf("%d tensors made", made)
				}
			}
		})
	})
}

func TestDistributions(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		const n = 40000
		var normal, uniform, coins []float64
		do(t, func(*torch.Scope) {
			torch.Seed(3)
			normal = torch.Randn(k.Options, n).Float64s()
			uniform = torch.Zeros(k.Options, n).Uniform_(-3, 5).Float64s()
			coins = torch.Zeros(k.Options, n).Bernoulli_(0.3).Float64s()
		})
		for name, c := range map[string]struct {
			draws                  []float64
			mean, variance, fourth float64 // fourth is E(x-mean)^4 / variance^2
			low, high              float64
		}{
			"normal":    {normal, 0, 1, 3, -7, 7},
			"uniform":   {uniform, 1, 64.0 / 12, 1.8, -3, 5},
			"bernoulli": {coins, 0.3, 0.21, 1/0.21 - 3, 0, 1},
		} {
			mean, variance := 0.0, 0.0
			for _, v := range c.draws {
				if v < c.low || v > c.high || name == "bernoulli" && v != 0 && v != 1 {
					t.Fatalf("%s: %v", name, v)
				}
				mean += v / n
				variance += (v - c.mean) * (v - c.mean) / n
			}
			// Five standard deviations of the estimates.
			if math.Abs(mean-c.mean) > 5*math.Sqrt(c.variance/n) || math.Abs(variance/c.variance-1) > 5*math.Sqrt((c.fourth-1)/n) {
				t.Errorf("%s: mean %v and variance %v, want %v and %v", name, mean, variance, c.mean, c.variance)
			}
		}
	})
}

func TestThreads(t *testing.T) {
	torchtest.OnCPU(t)
	do(t, func(*torch.Scope) {
		was := torch.Threads()
		defer torch.SetThreads(was)
		if was < 1 {
			t.Errorf("%d threads", was)
		}
		x, w := torch.Randn(torchtest.Options(torch.Float64), 8, 16, 16, 16), torch.Randn(torchtest.Options(torch.Float64), 16, 1, 3, 3)
		var first array
		for _, n := range []int{1, 2, 3} {
			torch.SetThreads(n)
			if torch.Threads() != n {
				t.Errorf("%d threads, not %d", torch.Threads(), n)
			}
			got := read(torch.MaxPool2d(torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{Groups: 16}), 3, 2, 1))
			if n == 1 {
				first = got
			}
			equal(t, fmt.Sprint(n, " threads"), got, first, 1e-14)
		}
	})
}

func TestToDevice(t *testing.T) {
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			x := torch.FromFloat32([]float32{1, 2, 3}, 3)
			there := x.ToDevice(d)
			back := there.AddScalar(1).ToDevice(torch.CPU)
			if there.Device() != d || back.Device() != torch.CPU {
				t.Errorf("%v, back %v", there, back)
			}
			equal(t, "there and back", read(back), array{[]int64{3}, []float64{2, 3, 4}}, 0)
			// Copy_ crosses devices and types.
			y := torch.Zeros(torch.Options{DType: torch.Float64, Device: d}, 2, 3).Copy_(x)
			if y.Device() != d || y.DType() != torch.Float64 {
				t.Errorf("%v", y)
			}
			equal(t, "copied", read(y), array{[]int64{2, 3}, []float64{1, 2, 3, 1, 2, 3}}, 0)
		})
	})
}

// Without CUDA the free memory of a device is an error, not the end of the process.
func TestFreeMemory(t *testing.T) {
	var free int64
	err := torch.Do(func(*torch.Scope) error { free = torch.FreeMemory(torch.CUDA(0)); return nil })
	var e *torch.Error
	if there := torch.CUDADevices() > 0; there != (err == nil) || there != (free > 0) || !there && !errors.As(err, &e) {
		t.Errorf("%d bytes, %v, with %d devices", free, err, torch.CUDADevices())
	}
}

// The peak counts tensors that exist at the same time, not all that are made, and is known also if f panics.
func TestPeakMemory(t *testing.T) {
	torchtest.OnCPU(t)
	do(t, func(*torch.Scope) {
		const numel, bytes = 1 << 20, 4 << 20
		var kept torch.Tensor
		peak := torch.PeakMemory(torch.CPU, func() {
			for range 5 {
				torch.Within(func(*torch.Scope) { torch.Zeros(torchtest.Options(torch.Float32), numel).AddScalar(1) })
			}
			kept = torch.Zeros(torchtest.Options(torch.Float32), numel)
		})
		if peak < 2*bytes || peak > 2*bytes+4096 {
			t.Errorf("peak of %d bytes, not %d", peak, 2*bytes)
		}
		if peak := torch.PeakMemory(torch.CPU, func() { torch.Zeros(torchtest.Options(torch.Float32), 16) }); peak < bytes+64 || peak > bytes+4096 {
			t.Errorf("peak of %d bytes beside %d kept, after a larger one", peak, bytes)
		}
		failure := func() (failure any) {
			defer func() { failure = recover() }()
			torch.PeakMemory(torch.CPU, func() { kept.Reshape(3) })
			return nil
		}()
		if _, ok := failure.(*torch.Error); !ok {
			t.Errorf("panic %v", failure)
		}
		// Gradients count too.
		x := torch.Zeros(torchtest.Options(torch.Float32), numel).SetRequiresGrad(true)
		peak = torch.PeakMemory(torch.CPU, func() {
			torch.Within(func(*torch.Scope) { torch.Grad(x.Mul(x).Sum(), []torch.Tensor{x}) })
		})
		if peak < 2*bytes {
			t.Errorf("peak of %d bytes with a gradient of %d", peak, bytes)
		}
	})
}
