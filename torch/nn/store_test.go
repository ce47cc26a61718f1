package nn_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
)

// build makes a store with weights and buffers below one another.
func build(o torch.Options) *nn.Store {
	s := nn.NewStore(o)
	p := s.Root()
	p.In("stem").Weight("weight", nn.FanIn(9), 2, 1, 3, 3)
	batchNorm(p.In("stem").In("bn"), 2, true)
	for i := range 2 {
		head := p.In("heads.%d", i)
		head.Weight("weight", nn.FanIn(4), 3, 4)
		head.Weight("bias", nn.FanIn(4), 3)
	}
	p.Weight("alpha", nn.Normal(1e-3), 5)
	return s
}

var names = []string{
	"stem.weight", "stem.bn.weight", "stem.bn.bias", "stem.bn.running_mean", "stem.bn.running_var",
	"heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias", "alpha",
}

func TestStore(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			s := build(o)
			if s.Options() != o {
				t.Errorf("options %v", s.Options())
			}
			var all, weights []string
			for p := range s.All() {
				all = append(all, p.Name)
				if buffer := strings.Contains(p.Name, "running"); p.Trainable == buffer || p.Tensor.RequiresGrad() == buffer {
					t.Errorf("%s: trainable %v, with a gradient %v", p.Name, p.Trainable, p.Tensor.RequiresGrad())
				}
				if p.Tensor.DType() != o.DType || p.Tensor.Device() != o.Device {
					t.Errorf("%s is %v", p.Name, p.Tensor)
				}
				if got, ok := s.Get(p.Name); !ok || got != p {
					t.Errorf("Get(%q) is %v, %v", p.Name, got, ok)
				}
			}
			for _, p := range s.Weights() {
				weights = append(weights, p.Name)
			}
			if !slices.Equal(all, names) {
				t.Errorf("order %q, want %q", all, names)
			}
			want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.Contains(n, "running") })
			if !slices.Equal(weights, want) {
				t.Errorf("weights %q, want %q", weights, want)
			}
			if ts := nn.Tensors(s.Weights()); len(ts) != len(want) || ts[1] != s.Weights()[1].Tensor {
				t.Error("Tensors are not the weights' tensors")
			}
			// 18 + 2+2 + two heads of 12+3 + 5; running statistics do not count.
			if n := s.Count(nil); n != 57 {
				t.Errorf("%d elements, not 57", n)
			}
			if n := s.Count(func(name string) bool { return strings.HasPrefix(name, "heads.") }); n != 30 {
				t.Errorf("%d elements in heads, not 30", n)
			}
			if p, ok := s.Get("heads"); ok || p.Tensor.Defined() {
				t.Error("a parameter that is not there was found")
			}
			s.Free()
			if s.Count(nil) != 0 || len(s.Weights()) != 0 {
				t.Error("the store is not empty after Free")
			}
			s.Root().Weight("alpha", nn.Constant(0), 1) // the name is free again
			s.Free()
			s.Free()
		})
	})
}

// Parameters outlive the Do and the scopes that they were made in.
func TestParametersAreKept(t *testing.T) {
	var s *nn.Store
	before := torch.Live()
	if err := torch.Do(func(*torch.Scope) error {
		torch.Within(func(*torch.Scope) { s = build(torchtest.Options(torch.Float32)) })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := torch.Live() - before; n != int64(len(names)) {
		t.Errorf("%d tensors live, not one for each of %d parameters", n, len(names))
	}
	if err := torch.Do(func(*torch.Scope) error {
		if v, _ := s.Get("stem.bn.running_var"); v.Tensor.Sum().Item() != 2 {
			t.Error("a buffer changed")
		}
		s.Free()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := torch.Live() - before; n != 0 {
		t.Errorf("%d tensors left behind", n)
	}
}

func TestNameTwice(t *testing.T) {
	do(t, func(*torch.Scope) {
		s := build(torchtest.Options(torch.Float32))
		live := torch.Live()
		p := s.Root()
		for name, f := range map[string]func(){
			"alpha":          func() { p.Weight("alpha", nn.Constant(0), 5) },
			"stem.weight":    func() { p.In("stem").Buffer("weight", nn.Constant(0), 1) },
			"heads.1.weight": func() { p.In("heads").In("%d", 1).Weight("weight", nn.FanIn(4), 3, 4) },
			"heads.0.bias":   func() { p.Weight("heads.0.bias", nn.Constant(0), 1) },
		} {
			if got := panics(f); !strings.Contains(got, fmt.Sprintf("%q made twice", name)) {
				t.Errorf("%s made twice: %q", name, got)
			}
		}
		if n := len(slices.Collect(s.All())); n != len(names) || torch.Live() != live {
			t.Errorf("%d parameters, %d new tensors after the refusals", n, torch.Live()-live)
		}
		s.Free()
	})
}

// A faulty parameter is none.
func TestFailingInit(t *testing.T) {
	do(t, func(*torch.Scope) {
		s := nn.NewStore(torchtest.Options(torch.Float32))
		if text := panics(func() { s.Root().Weight("w", func(torch.Tensor) { panic("words") }, 2) }); text != "words" {
			t.Errorf("panicked with %q", text)
		}
		if _, ok := s.Get("w"); ok || torch.Live() != 0 || !torch.GradEnabled() {
			t.Errorf("found %v, %d tensors live, gradients %v", ok, torch.Live(), torch.GradEnabled())
		}
	})
}

func snapshot(s *nn.Store) map[string][]byte {
	m := map[string][]byte{}
	for p := range s.All() {
		m[p.Name] = p.Tensor.Bytes()
	}
	return m
}

func TestLoad(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			torch.Seed(1)
			from, to := build(torchtest.Options(torch.Float32)), build(o)
			values := map[string]torch.Tensor{}
			for p := range from.All() {
				values[p.Name] = p.Tensor
			}
			before := snapshot(to)

			// All that is wrong is in one error, and nothing is loaded.
			faulty := map[string]torch.Tensor{"surplus": torch.Zeros(o, 1), "another": torch.Zeros(o, 1)}
			for name, v := range values {
				faulty[name] = v
			}
			delete(faulty, "stem.weight")
			delete(faulty, "stem.bn.running_var")
			faulty["alpha"] = torch.Zeros(o, 6)
			faulty["heads.0.bias"] = torch.Zeros(o, 3, 1)
			err := to.Load(faulty)
			if err == nil {
				t.Fatal("no error")
			}
			want := []string{
				"alpha has shape [6], not [5]",
				"another is not a parameter here",
				"heads.0.bias has shape [3 1], not [3]",
				"stem.bn.running_var [2] is missing",
				"stem.weight [2 1 3 3] is missing",
				"surplus is not a parameter here",
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
				t.Errorf("error %q, want %q", got, want)
			}
			if !reflect.DeepEqual(snapshot(to), before) {
				t.Error("values changed, though there was an error")
			}

			live := torch.Live()
			if err := to.Load(values); err != nil {
				t.Fatal(err)
			}
			if torch.Live() != live || !torch.GradEnabled() {
				t.Error("Load left tensors or its mode behind")
			}
			for p := range to.All() {
				if v := values[p.Name]; !slices.Equal(p.Tensor.Float64s(), v.Float64s()) || p.Tensor.DType() != o.DType || p.Tensor.Device() != o.Device {
					t.Errorf("%s is %v %v, not %v", p.Name, p.Tensor, p.Tensor.Float64s(), v.Float64s())
				}
				if p.Tensor.RequiresGrad() != p.Trainable {
					t.Errorf("%s requires a gradient: %v", p.Name, p.Tensor.RequiresGrad())
				}
			}
			// Values are copied, not shared.
			torch.NoGrad(func() { values["alpha"].AddScalar_(1) })
			if a, _ := to.Get("alpha"); a.Tensor.Float64s()[0] == values["alpha"].Float64s()[0] {
				t.Error("the store shares a loaded value")
			}
			from.Free()
			to.Free()
		})
	})
}

// The same seed means the same weights, on every device; another seed, others.
func TestSeed(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			made := func(seed uint64, o torch.Options) map[string][]byte {
				torch.Seed(seed)
				s := build(o)
				defer s.Free()
				return snapshot(s)
			}
			first := made(5, torchtest.Options(o.DType))
			if !reflect.DeepEqual(first, made(5, o)) {
				t.Error("the same seed gives other weights")
			}
			other := made(6, o)
			for _, name := range []string{"stem.weight", "heads.0.weight", "heads.0.bias", "alpha"} {
				if bytes.Equal(first[name], other[name]) {
					t.Errorf("another seed gives the same %s", name)
				}
			}
			if bytes.Equal(first["heads.0.weight"], first["heads.1.weight"]) {
				t.Error("two layers have the same weights")
			}
		})
	})
}

// moments are the mean and the mean square of v, and its largest absolute value.
func moments(v []float64) (mean, square, largest float64) {
	for _, x := range v {
		mean += x / float64(len(v))
		square += x * x / float64(len(v))
		largest = max(largest, math.Abs(x))
	}
	return mean, square, largest
}

// PyTorch's Conv2d and Linear draw from U(-b, b) with b = 1/sqrt(fan_in), where fan_in is the
// number of inputs of one output; batch norm starts with 1, 0, 0, 1.
func TestDefaultInitialisation(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			torch.Seed(2)
			s := nn.NewStore(o)
			p := s.Root()
			p.Weight("conv.weight", nn.FanIn(32*9), 64, 32, 3, 3)
			p.Weight("asymmetric.weight", nn.FanIn(16*7), 64, 16, 1, 7)
			p.Weight("grouped.weight", nn.FanIn(16*25), 64, 16, 5, 5)
			p.Weight("depthwise.weight", nn.FanIn(9), 256, 1, 3, 3)
			p.Weight("linear.weight", nn.FanIn(100), 2000, 100)
			p.Weight("linear.bias", nn.FanIn(100), 2000)
			batchNorm(p.In("bn"), 7, true)
			batchNorm(p.In("plain"), 7, false)
			for _, c := range []struct {
				name  string
				shape []int64
				fanIn float64
			}{
				{"conv.weight", []int64{64, 32, 3, 3}, 32 * 9},
				{"asymmetric.weight", []int64{64, 16, 1, 7}, 16 * 7},
				{"grouped.weight", []int64{64, 16, 5, 5}, 16 * 25},
				{"depthwise.weight", []int64{256, 1, 3, 3}, 9},
				{"linear.weight", []int64{2000, 100}, 100},
				{"linear.bias", []int64{2000}, 100},
			} {
				w, ok := s.Get(c.name)
				if !ok || !slices.Equal(w.Tensor.Shape(), c.shape) {
					t.Fatalf("%s is %v", c.name, w.Tensor)
				}
				b, n := 1/math.Sqrt(c.fanIn), float64(w.Tensor.Numel())
				mean, square, largest := moments(w.Tensor.Float64s())
				// The variance of U(-b, b) is b^2/3, its estimate's relative deviation sqrt(0.8/n); five of
				// them. n draws stay below b(1-5/n) with probability e^-5 at most; 20/n makes that e^-20.
				if math.Abs(mean) > 5*b/math.Sqrt(3*n) || math.Abs(square*3/(b*b)-1) > 5*math.Sqrt(0.8/n) {
					t.Errorf("%s: mean %v, mean square %v, want 0 and %v", c.name, mean, square, b*b/3)
				}
				// Float32 rounds b itself up by at most one part in 2^24.
				if largest > b*(1+1e-7) || largest < b*(1-20/n) {
					t.Errorf("%s: largest %v, bound %v", c.name, largest, b)
				}
			}
			for name, want := range map[string]float64{
				"bn.weight": 1, "bn.bias": 0, "bn.running_mean": 0, "bn.running_var": 1, "plain.running_mean": 0, "plain.running_var": 1,
			} {
				v, ok := s.Get(name)
				if !ok || !slices.Equal(v.Tensor.Float64s(), slices.Repeat([]float64{want}, 7)) || v.Trainable == strings.Contains(name, "running") {
					t.Errorf("%s: found %v, trainable %v", name, ok, v.Trainable)
				}
			}
			// A convolution has no bias, a batch norm without affine no weights.
			if n := len(slices.Collect(s.All())); n != 12 {
				t.Errorf("%d parameters, not 12", n)
			}
			s.Free()
		})
	})
}

func TestInits(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			torch.Seed(4)
			const n, std = 20000, 1e-3
			s := nn.NewStore(o)
			mean, square, largest := moments(s.Root().Weight("normal", nn.Normal(std), n).Float64s())
			// Five deviations of the estimates; beyond six of N(0,1) lies one draw in 5e8.
			if math.Abs(mean) > 5*std/math.Sqrt(n) || math.Abs(square/std/std-1) > 5*math.Sqrt(2.0/n) || largest > 6*std || largest < 3*std {
				t.Errorf("normal: mean %v, mean square %v, largest %v", mean, square, largest)
			}
			if got := s.Root().Weight("constant", nn.Constant(-2.5), 2).Float64s(); !slices.Equal(got, []float64{-2.5, -2.5}) {
				t.Errorf("constant %v", got)
			}
			s.Free()
		})
	})
}

// Names join with dots however they are put together, and come back in the order they were made.
func TestPathsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[a-z][a-z0-9_]{0,3}`)
		paths := rapid.SliceOfNDistinct(rapid.SliceOfN(part, 1, 4), 1, 8, func(p []string) string { return strings.Join(p, ".") }).Draw(t, "paths")
		var got []string
		err := torch.Do(func(*torch.Scope) error {
			s := nn.NewStore(torchtest.Options(torch.Float32))
			for _, path := range paths {
				p := s.Root()
				for _, name := range path[:len(path)-1] {
					p = p.In("%s", name)
				}
				p.Buffer(path[len(path)-1], nn.Constant(0))
			}
			for p := range s.All() {
				got = append(got, p.Name)
			}
			s.Free()
			return nil
		})
		for i, path := range paths {
			if err != nil || got[i] != strings.Join(path, ".") {
				t.Fatalf("%v: name %d is %q, want %q", err, i, got[i], strings.Join(path, "."))
			}
		}
	})
}

// Flatten makes the trainable parameters adjacent, and the buffers, those given first in their order; values,
// names and order of the store stay.
func TestFlattenStore(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			s := build(o)
			defer s.Free()
			get := func(names ...string) (ts []torch.Tensor) {
				for _, n := range names {
					p, ok := s.Get(n)
					if !ok {
						t.Fatalf("no %s", n)
					}
					ts = append(ts, p.Tensor)
				}
				return ts
			}
			var before [][]byte
			for p := range s.All() {
				before = append(before, p.Tensor.Bytes())
			}
			check := func(weights, buffers []string) {
				t.Helper()
				if !torch.Adjacent(get(weights...)) || !torch.Adjacent(get(buffers...)) {
					t.Errorf("%v or %v are not adjacent", weights, buffers)
				}
				i := 0
				for p := range s.All() {
					if p.Name != names[i] || !bytes.Equal(p.Tensor.Bytes(), before[i]) || p.Tensor.RequiresGrad() != p.Trainable {
						t.Errorf("%s has changed", p.Name)
					}
					i++
				}
			}
			s.Flatten(nil)
			check([]string{"stem.weight", "stem.bn.weight", "stem.bn.bias", "heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias", "alpha"},
				[]string{"stem.bn.running_mean", "stem.bn.running_var"})
			s.Flatten(get("heads.1.weight", "stem.bn.running_var", "heads.0.weight"))
			check([]string{"heads.1.weight", "heads.0.weight", "stem.weight", "stem.bn.weight", "stem.bn.bias", "heads.0.bias", "heads.1.bias", "alpha"},
				[]string{"stem.bn.running_var", "stem.bn.running_mean"})
			if text := panics(func() { s.Flatten([]torch.Tensor{torch.Ones(o, 1)}) }); !strings.Contains(text, "1 tensors that are not the store's") {
				t.Errorf("a tensor of nobody: %q", text)
			}
		})
	})
}
