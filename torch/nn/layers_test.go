package nn_test

import (
	"math"
	"slices"
	"testing"

	"hdas/torch"
	"hdas/torch/nn"
)

// counted has the numbers 1, 2, 3, ... over 64.
func counted(o torch.Options, shape ...int64) torch.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(i+1) / 64
	}
	return torch.FromFloat64(v, shape...).To(o.DType).ToDevice(o.Device)
}

// A layer is the operation of its name, of its own parameters.
func TestLayers(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			torch.Seed(1)
			s := nn.NewStore(o)
			get := func(name string) torch.Tensor { p, _ := s.Get(name); return p.Tensor }
			root := s.Root()
			conv := nn.Conv2d{Weight: root.Weight("conv.weight", nn.FanIn(6), 6, 2, 3, 1), Options: torch.ConvOptions{Groups: 2, Padding: []int64{1, 0}}}
			linear := nn.Linear{Weight: root.Weight("linear.weight", nn.FanIn(36), 3, 36), Bias: root.Weight("linear.bias", nn.FanIn(36), 3)}
			bn := batchNorm(root.In("bn"), 4, true)
			x := counted(o, 2, 4, 3, 3)
			none, train := torch.Tensor{}, &nn.Ctx{Train: true}
			mean, variance := get("bn.running_mean").Clone(), get("bn.running_var").Clone()
			for _, c := range []struct {
				name      string
				got, want torch.Tensor
			}{
				{"conv", conv.Forward(train, x), torch.Conv2d(x, get("conv.weight"), none, torch.ConvOptions{Groups: 2, Padding: []int64{1, 0}})},
				{"linear flattens", linear.Forward(train, x), torch.Linear(x.Reshape(2, 36), get("linear.weight"), get("linear.bias"))},
				{"batch norm, eval", bn.Forward(&nn.Ctx{}, x), torch.BatchNorm(x, get("bn.weight"), get("bn.bias"), mean, variance, false, 0.1, 1e-5)},
				{"batch norm, train", bn.Forward(train, x), torch.BatchNorm(x, get("bn.weight"), get("bn.bias"), mean, variance, true, 0.1, 1e-5)},
				{"running mean", get("bn.running_mean"), mean},
				{"running variance", get("bn.running_var"), variance},
				{"batch norm, eval again", bn.Forward(&nn.Ctx{}, x), torch.BatchNorm(x, get("bn.weight"), get("bn.bias"), mean, variance, false, 0.1, 1e-5)},
				{"relu", nn.ReLU.Forward(train, x.AddScalar(-0.5)), x.AddScalar(-0.5).ReLU()},
				{"avg pool", nn.AvgPool{Kernel: 3, Stride: 2}.Forward(train, x), torch.AvgPool2d(x, 3, 2, 0)},
				{"sequential", nn.Sequential{conv, nn.ReLU, nn.AvgPool{Kernel: 2, Stride: 1}}.Forward(train, x), torch.AvgPool2d(conv.Forward(train, x).ReLU(), 2, 1, 0)},
				{"empty sequential", nn.Sequential{}.Forward(train, x), x},
			} {
				if !slices.Equal(c.got.Shape(), c.want.Shape()) || !slices.Equal(c.got.Float64s(), c.want.Float64s()) {
					t.Errorf("%s: %v, want %v", c.name, c.got.Float64s(), c.want.Float64s())
				}
			}
			if slices.Equal(mean.Float64s(), make([]float64, 4)) {
				t.Error("training did not move the running mean")
			}
			s.Free()
		})
	})
}

// dropped is x after drop path.
func dropped(c *nn.Ctx, x torch.Tensor) torch.Tensor {
	return x.Mul(nn.DropPathMasks(c, 2, x.Size(0), torch.Options{DType: x.DType(), Device: x.Device()})[1])
}

func batchNorm(p *nn.Path, c int64, affine bool) nn.Module {
	var m nn.BatchNorm2d
	if affine {
		m.Weight, m.Bias = p.Weight("weight", nn.Constant(1), c), p.Weight("bias", nn.Constant(0), c)
	}
	m.Mean, m.Var = p.Buffer("running_mean", nn.Constant(0), c), p.Buffer("running_var", nn.Constant(1), c)
	return m
}

func TestDropPath(t *testing.T) {
	eachOptions(t, func(t *testing.T, o torch.Options) {
		do(t, func(*torch.Scope) {
			torch.Seed(8)
			// No mask at all when there is nothing to drop, and outside training.
			for _, c := range []nn.Ctx{{Train: true}, {DropPath: 0.5}, {}} {
				if nn.DropPathMasks(&c, 1, 3, o) != nil {
					t.Errorf("%+v changes the tensor", c)
				}
			}
			const n, size = 4000, 2 * 3 * 3
			x := counted(o, n, 2, 3, 3)
			before := x.Float64s()
			for _, p := range []float64{0.1, 0.5, 0.9} {
				var y []float64
				torch.Within(func(*torch.Scope) { y = dropped(&nn.Ctx{Train: true, DropPath: p}, x).Float64s() })
				dropped := 0.0
				for i := range n {
					in, out := before[i*size:(i+1)*size], y[i*size:(i+1)*size]
					if out[0] == 0 {
						dropped++
					}
					for j, v := range out {
						want := in[j] / (1 - p)
						if out[0] == 0 {
							want = 0
						}
						// One rounding of the factor and one of the product in float32.
						if math.Abs(v-want) > 2e-7*want {
							t.Fatalf("p %v: sample %d has %v where %v was, its first is %v", p, i, v, in[j], out[0])
						}
					}
				}
				// Five deviations of a count of n. The share that stays times 1/(1-p) is then 1 in the
				// mean: the mean is kept.
				if d := 5 * math.Sqrt(n*p*(1-p)); math.Abs(dropped-n*p) > d {
					t.Errorf("p %v: %v of %d dropped, want %v within %v", p, dropped, n, n*p, d)
				}
			}
			if !slices.Equal(x.Float64s(), before) {
				t.Error("the input changed")
			}
			// The gradient goes where the value went.
			x = counted(o, 64, 1, 1, 1).SetRequiresGrad(true)
			y := dropped(&nn.Ctx{Train: true, DropPath: 0.5}, x)
			g := torch.Grad(y.Sum(), []torch.Tensor{x})[0].Float64s()
			for i, v := range y.Float64s() {
				if want := 2 * float64(b2i(v != 0)); g[i] != want {
					t.Errorf("gradient %v of a sample that became %v", g[i], v)
				}
			}
		})
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
