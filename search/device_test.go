package search

import (
	"fmt"
	"math"
	"testing"

	"hdas/configs"
	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// computeOn returns what a supernet gives on a device by a path, in evaluation or training. The numbers from which
// it starts are the same for all devices and types, but for rounding.
func computeOn(t *testing.T, k configs.Kind, o torch.Options, path kernel.Path, again kernel.Recompute, train bool) map[string][]float64 {
	t.Helper()
	c, m, s := little(t, k)
	all := map[string][]float64{}
	within(t, func() {
		torch.Seed(5)
		host := torchtest.Host(torch.Float64)
		image := layer.Shape{C: 3, H: 16, W: 16}
		reference, err := NewSupernet(s, c, m, image, host)
		if err != nil {
			t.Fatal(err)
		}
		defer reference.Free()
		images := torch.Randn(host, 8, image.C, image.H, image.W).To(o.DType).ToDevice(o.Device)
		n, err := NewSupernet(s, c, m, image, o)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Free()
		for from, to := range map[*nn.Store]*nn.Store{reference.Weights: n.Weights, reference.Arch.Store: n.Arch.Store} {
			values := map[string]torch.Tensor{}
			for p := range from.All() {
				values[p.Name] = p.Tensor
			}
			load(t, to, values)
		}
		n.Path, n.Recompute = path, again
		if !train {
			torch.NoGrad(func() { all["logits"] = n.Logits(&nn.Ctx{Path: path}, images).Float64s() })
			return
		}
		b := Sample{Images: images, Labels: sample(8).Labels.ToDevice(o.Device)}
		loss, logits := n.WeightLoss(b)
		all["logits"], all["loss"] = logits.Float64s(), loss.Float64s()
		for name, g := range map[string][]torch.Tensor{"weights": torch.Grad(loss, nn.Tensors(n.Weights.Weights())), "alphas": torch.Grad(n.ArchLoss(b).Total, nn.Tensors(n.Arch.Store.Weights()))} {
			for i, v := range g {
				if v.Defined() {
					all[fmt.Sprint(name, i)] = v.Float64s()
				}
			}
		}
		for p := range n.Weights.All() {
			if !p.Trainable {
				all[p.Name] = p.Tensor.Float64s()
			}
		}
	})
	return all
}

// most returns the largest difference between two results, each divided by the largest value of its tensor, and
// the name of that tensor.
func most(t *testing.T, got, want map[string][]float64) (worst float64, name string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, not %d", len(got), len(want))
	}
	for n, w := range want {
		size, diff := 1e-3, 0.0
		for i := range w {
			size, diff = max(size, math.Abs(w[i])), max(diff, math.Abs(w[i]-got[n][i]))
		}
		if d := diff / size; !(d <= worst) {
			worst, name = d, n
		}
	}
	return worst, name
}

// In float64, the device of the tests gives what the kernels of the CPU give: logits, losses, all gradients and the
// running statistics, for every kind of search and with every recompute.
func TestDeviceEqualsTheKernels(t *testing.T) {
	double := torchtest.Options(torch.Float64)
	host := torchtest.Host(torch.Float64)
	for _, k := range configs.Kinds {
		for _, train := range []bool{false, true} {
			want := computeOn(t, k, host, kernel.Kernels, kernel.RecomputeNone, train)
			if train && len(want) < 20 {
				t.Fatalf("only %d tensors to compare", len(want))
			}
			for again := kernel.RecomputeNone; again <= kernel.RecomputeCell; again++ {
				got := computeOn(t, k, double, kernel.Operations, again, train)
				if d, name := most(t, got, want); !(d <= 1e-9) {
					t.Errorf("%s, training %v, recompute %d, on %v: %s differs by %.2g", k, train, again, double.Device, name, d)
				}
			}
		}
	}
}

// In float32, the logits of the device are those of float64 but for rounding.
func TestDeviceInFloat32(t *testing.T) {
	single, host := torchtest.Options(torch.Float32), torchtest.Host(torch.Float64)
	for _, k := range configs.Kinds {
		want := computeOn(t, k, host, kernel.Kernels, kernel.RecomputeNone, false)
		got := computeOn(t, k, single, kernel.Operations, kernel.RecomputeNone, false)
		d, _ := most(t, got, want)
		t.Logf("%s: %.2g on %v", k, d, single.Device)
		if !(d <= 1e-4) {
			t.Errorf("%s: logits differ by %.2g, more than 1e-4, on %v", k, d, single.Device)
		}
	}
}

// 200 steps keep the number of tensors and the memory of the device as the first ones left them.
func TestStepsKeepTheMemory(t *testing.T) {
	c, m, s := little(t, configs.StageSearch)
	learning(t, s, c, m, func(b *Bilevel) {
		train, valid := sample(8), sample(8)
		step := func() {
			torch.Within(func(*torch.Scope) { b.Step(1e-3, true, train, valid) })
		}
		for range 3 {
			step()
		}
		d := torchtest.Device()
		live, peak := torch.Live(), torch.PeakMemory(d, step)
		for range 200 {
			step()
		}
		if n := torch.Live(); n != live {
			t.Errorf("%d tensors, %d before 200 steps, on %v", n, live, d)
		}
		if now := torch.PeakMemory(d, step); now > peak+peak/50 || now == 0 {
			t.Errorf("a step takes %d bytes at most, %d before 200 steps, on %v", now, peak, d)
		}
	})
}

// On CUDA, recorded steps give what the operations one by one give, in every search, with losses, norms and logits.
func TestRecordedSteps(t *testing.T) {
	if !torchtest.Device().IsCUDA() {
		t.Skip("needs a CUDA device: HDAS_TEST_DEVICE=cuda")
	}
	for _, k := range configs.Kinds {
		for _, order := range []configs.Order{configs.FirstOrder, configs.SecondOrder} {
			steps := func(record bool) (all map[string][]float64) {
				c, m, s := little(t, k)
				c.Order = order
				learning(t, s, c, m, func(b *Bilevel) {
					torch.Seed(7)
					if record {
						b.Record()
					}
					for i := range 8 {
						torch.Within(func(*torch.Scope) {
							size := int64(8)
							if i == 6 {
								size = 5
							}
							r := b.Step(1e-2/float64(i+1), i != 1, sample(size), sample(8))
							all = snapshot(b.Net, true)
							all["loss"], all["norm"], all["logits"] = r.Train.Float64s(), r.Norm.Float64s(), r.Logits.Float64s()
							if i != 1 {
								all["arch"], all["arch norm"] = r.Arch.Total.Float64s(), r.ArchNorm.Float64s()
							}
						})
					}
				})
				return all
			}
			if d, name := most(t, steps(true), steps(false)); !(d <= 1e-9) {
				t.Errorf("%s, %s order: %s differs by %.2g", k, order, name, d)
			}
		}
	}
}
