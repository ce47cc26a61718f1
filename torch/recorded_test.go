package torch_test

import (
	"slices"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Work can be recorded on CUDA devices alone.
func TestRecordOnTheCPU(t *testing.T) {
	torchtest.OnCPU(t)
	live := torch.Live()
	err := torch.Do(func(*torch.Scope) error {
		torch.Record(torch.CPU, nil, func() { t.Error("recorded") })
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "record") || torch.Recording() {
		t.Errorf("error %v, recording %v", err, torch.Recording())
	}
	if left := torch.Live() - live; left != 0 {
		t.Errorf("%d tensors are left", left)
	}
}

// A Replayer that does not record calls its function on each device, and one that does on the CPU.
func TestReplayerOff(t *testing.T) {
	t.Run("off", func(t *testing.T) { called(t, torch.Replayer{}) })
	t.Run("on, on the CPU", func(t *testing.T) {
		torchtest.OnCPU(t)
		called(t, torch.Replayer{On: true})
	})
}

func called(t *testing.T, r torch.Replayer) {
	do(t, func(*torch.Scope) {
		defer r.Free()
		for i := range 5 {
			in := torch.Ones(float32s(), 2).MulScalar(float64(i))
			out := r.Call(nil, []torch.Tensor{in}, func(in []torch.Tensor) []torch.Tensor { return []torch.Tensor{in[0].Sum(), {}} })
			if len(out) != 2 || out[0].Item() != float64(2*i) || out[1].Defined() {
				t.Errorf("call %d: %v", i, out)
			}
		}
	})
}

// onCUDA skips a test of what exists on CUDA alone.
func onCUDA(t *testing.T) {
	t.Helper()
	if !torchtest.Device().IsCUDA() {
		t.Skip("needs a CUDA device: HDAS_TEST_DEVICE=cuda")
	}
}

// What is replayed is what would be computed: with new inputs, with weights that have changed, and with gradients.
// Other shapes are computed, a new key is recorded anew, and nothing is left.
func TestReplayer(t *testing.T) {
	onCUDA(t)
	live := torch.Live()
	do(t, func(*torch.Scope) {
		w, bias := torch.Randn(float32s(), 3, 4).SetRequiresGrad(true), torch.Zeros(float32s(), 3)
		calls := 0
		f := func(in []torch.Tensor) []torch.Tensor {
			calls++
			y := torch.Linear(in[0], w, bias)
			loss := y.Mul(y).Sum()
			return []torch.Tensor{loss.Detach(), {}, torch.Grad(loss, []torch.Tensor{w})[0]}
		}
		r := torch.Replayer{On: true}
		defer r.Free()
		step := func(key, rows int) {
			t.Helper()
			torch.Within(func(*torch.Scope) {
				in := torch.Randn(float32s(), int64(rows), 4)
				got := r.Call(key, []torch.Tensor{in}, f)
				before := calls
				want := f([]torch.Tensor{in})
				calls = before
				if !slices.Equal(got[0].Float64s(), want[0].Float64s()) || got[1].Defined() || !slices.Equal(got[2].Float64s(), want[2].Float64s()) {
					t.Errorf("key %d, %d rows: %v, %v, not %v, %v", key, rows, got[0].Float64s(), got[2].Float64s(), want[0].Float64s(), want[2].Float64s())
				}
				torch.NoGrad(func() { w.Add_(got[2].MulScalar(-0.01)) })
			})
		}
		for _, c := range []struct{ key, rows, calls int }{
			{1, 5, 1}, {1, 5, 2}, {1, 5, 3}, {1, 5, 3}, {1, 5, 3}, // twice, recorded, replayed
			{1, 2, 4}, {1, 5, 4}, // fewer rows
			{2, 5, 5}, {2, 5, 6}, {2, 5, 6}, // another key: once, recorded, replayed
			{3, 5, 7}, {4, 5, 8}, {4, 5, 9}, {4, 5, 9},
		} {
			if step(c.key, c.rows); calls != c.calls {
				t.Errorf("key %d, %d rows: called %d times, not %d", c.key, c.rows, calls, c.calls)
			}
		}
	})
	if left := torch.Live() - live; left != 0 {
		t.Errorf("%d tensors and graphs are left", left)
	}
}

// Each replay draws new random numbers: those that the calls would draw.
func TestReplayedRandomNumbers(t *testing.T) {
	onCUDA(t)
	draws := func(record bool) (all []float64) {
		do(t, func(*torch.Scope) {
			torch.Seed(3)
			r := torch.Replayer{On: record}
			defer r.Free()
			for range 6 {
				in := torch.Zeros(float32s(), 4)
				out := r.Call(nil, []torch.Tensor{in}, func(in []torch.Tensor) []torch.Tensor {
					return []torch.Tensor{torch.Randn(float32s(), 4).Add(in[0])}
				})
				all = append(all, out[0].Float64s()...)
				all = append(all, torch.Randn(float32s(), 2).Float64s()...) // between replays
			}
		})
		return all
	}
	if got, want := draws(true), draws(false); !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

// Functions that follow each other share memory, and do not overwrite each other's results.
func TestReplayersAfterEachOther(t *testing.T) {
	onCUDA(t)
	do(t, func(*torch.Scope) {
		var a, b torch.Replayer
		a.On, b.On = true, true
		b.After(&a)
		defer a.Free()
		defer b.Free()
		for i := range 6 {
			in := torch.Ones(float32s(), 1000).MulScalar(float64(i))
			first := a.Call(nil, []torch.Tensor{in}, func(in []torch.Tensor) []torch.Tensor { return []torch.Tensor{in[0].AddScalar(1).MulScalar(2)} })
			second := b.Call(nil, []torch.Tensor{in}, func(in []torch.Tensor) []torch.Tensor { return []torch.Tensor{in[0].AddScalar(2).MulScalar(3)} })
			if x, y := first[0].Sum().Item(), second[0].Sum().Item(); x != float64(2000*(i+1)) || y != float64(3000*(i+2)) {
				t.Errorf("step %d: %v, %v", i, x, y)
			}
		}
	})
}

// What waits for the device cannot be recorded. The error says so, and the device works on.
func TestRecordWhatWaits(t *testing.T) {
	onCUDA(t)
	live := torch.Live()
	for range 2 {
		err := torch.Do(func(*torch.Scope) error {
			x := torch.Ones(float32s(), 3)
			torch.Record(x.Device(), nil, func() { x.Add(x).Sum().Item() })
			return nil
		})
		if err == nil || torch.Recording() {
			t.Errorf("error %v, recording %v", err, torch.Recording())
		}
		do(t, func(*torch.Scope) {
			if v := torch.Ones(float32s(), 3).Sum().Item(); v != 3 {
				t.Errorf("then the sum is %v", v)
			}
		})
	}
	if left := torch.Live() - live; left != 0 {
		t.Errorf("%d tensors and graphs are left", left)
	}
}
