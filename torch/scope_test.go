package torch_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

func float32s() torch.Options { return torchtest.Options(torch.Float32) }

func TestKeepReturnFree(t *testing.T) {
	before := torch.Live()
	var kept, returned, plain torch.Tensor
	do2 := func(f func(s *torch.Scope)) {
		if err := torch.Do(func(s *torch.Scope) error { f(s); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	do2(func(s *torch.Scope) {
		torch.Within(func(in *torch.Scope) {
			plain = torch.Zeros(float32s(), 1)
			returned = in.Return(torch.Full(float32s(), 2))
			kept = in.Return(torch.Full(float32s(), 3).Keep()) // kept already: Return changes nothing
			if s.Return(plain) != plain {
				t.Error("Return gave another tensor")
			}
		})
		if n := torch.Live() - before; n != 2 {
			t.Errorf("%d tensors live after the inner scope, not the returned and the kept one", n)
		}
		if got := plain.String(); got != "freed tensor" {
			t.Errorf("a tensor is a %q after its scope", got)
		}
		if returned.Item() != 2 || kept.Item() != 3 {
			t.Errorf("%v and %v outlived the scope, not 2 and 3", returned.Item(), kept.Item())
		}
		if s.Return(returned); torch.Live()-before != 2 {
			t.Error("Return in the outermost scope did something")
		}
		// A freed tensor is not freed again when its scope closes, nor by a second Free.
		x := torch.Zeros(float32s(), 1)
		x.Free()
		x.Free()
		torch.Tensor{}.Free()
		if torch.Tensor.Keep(torch.Tensor{}).Defined() || s.Return(torch.Tensor{}).Defined() {
			t.Error("the undefined tensor became defined")
		}
	})
	if n := torch.Live() - before; n != 1 {
		t.Fatalf("%d tensors live after Do, not the kept one", n)
	}
	do2(func(*torch.Scope) {
		if kept.Item() != 3 {
			t.Errorf("the kept tensor is %v in the next Do", kept.Item())
		}
		kept.Free()
	})
	if n := torch.Live() - before; n != 0 {
		t.Errorf("%d tensors left", n)
	}
}

func TestNestedDo(t *testing.T) {
	do(t, func(*torch.Scope) {
		x := torch.Ones(float32s(), 2)
		live := torch.Live()
		err := torch.Do(func(*torch.Scope) error {
			torch.NoGrad(func() { x.AddScalar(1).Add(torch.Zeros(float32s(), 3)) })
			return nil
		})
		var failure *torch.Error
		if !errors.As(err, &failure) || failure.Op != "add" {
			t.Errorf("the inner Do returned %v", err)
		}
		if torch.Live() != live || x.Sum().Item() != 2 || !torch.GradEnabled() {
			t.Error("the outer Do is not as it was")
		}
		torch.NoGrad(func() {
			if err := torch.Do(func(*torch.Scope) error {
				if torch.GradEnabled() {
					t.Error("a Do inside NoGrad records gradients")
				}
				return nil
			}); err != nil || torch.GradEnabled() {
				t.Errorf("after a Do inside NoGrad: %v, gradients %v", err, torch.GradEnabled())
			}
		})
		// Another goroutine's Do waits for this one, and is not part of it.
		started := make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			close(started)
			if err := torch.Do(func(*torch.Scope) error { t.Log("the other Do runs"); return nil }); err != nil {
				t.Error(err)
			}
		})
		<-started
		t.Cleanup(wait.Wait)
	})
}

// libtorch keeps its last error and its gradient mode per OS thread; goroutines move between them.
func TestManyGoroutines(t *testing.T) {
	before := torch.Live()
	var wait sync.WaitGroup
	for g := range 64 {
		wait.Go(func() {
			n := int64(g + 2) // every goroutine's tensors have a size of their own
			for round := range 16 {
				var sum float64
				var recorded, mode bool
				work := func() {
					x := torch.Ones(float32s(), n).SetRequiresGrad(true)
					runtime.Gosched()
					y := x.Mul(x).Sum()
					sum, recorded, mode = y.Item(), y.RequiresGrad(), torch.GradEnabled()
				}
				switch (g + round) % 4 {
				case 0: // an ordinary step
					if err := torch.Do(func(*torch.Scope) error { work(); return nil }); err != nil || sum != float64(n) || !recorded || !mode {
						t.Errorf("goroutine %d: %v, sum %v, recorded %v, mode %v", g, err, sum, recorded, mode)
					}
				case 1: // one without gradients
					if err := torch.Do(func(*torch.Scope) error { torch.NoGrad(work); return nil }); err != nil || sum != float64(n) || recorded || mode {
						t.Errorf("goroutine %d, NoGrad: %v, sum %v, recorded %v, mode %v", g, err, sum, recorded, mode)
					}
				case 2: // one that fails, inside NoGrad half of the time, with its own sizes in the text
					err := torch.Do(func(*torch.Scope) error {
						fail := func() { work(); torch.Zeros(float32s(), n).Add(torch.Zeros(float32s(), n+1000)) }
						if g%2 == 0 {
							torch.NoGrad(fail)
						} else {
							fail()
						}
						return nil
					})
					var e *torch.Error
					if !errors.As(err, &e) || !reflect.DeepEqual(e.Shapes, [][]int64{{n}, {n + 1000}}) || !strings.Contains(e.Error(), fmt.Sprintf("(%d)", n+1000)) {
						t.Errorf("goroutine %d got the error %v", g, err)
					}
				case 3: // one that panics
					text := panics(func() {
						_ = torch.Do(func(*torch.Scope) error { work(); panic(fmt.Sprintf("from goroutine %d.", g)) })
					})
					if !strings.Contains(text, fmt.Sprintf("from goroutine %d.", g)) {
						t.Errorf("goroutine %d panicked with %q", g, text)
					}
				}
			}
		})
	}
	wait.Wait()
	if torch.Live() != before {
		t.Errorf("%d tensors left behind", torch.Live()-before)
	}
}

func TestBytesRoundTrip(t *testing.T) {
	nan := math.Float32frombits(0x7fc12345) // a payload, as any bits, comes through
	eachDevice(t, func(t *testing.T, d torch.Device) {
		do(t, func(*torch.Scope) {
			for _, shape := range [][]int64{{}, {1}, {0}, {3, 0}, {0, 5, 2}, {2, 3}} {
				for _, dtype := range []torch.DType{torch.Uint8, torch.Int64, torch.Float16, torch.Float32, torch.Float64, torch.Bool, torch.BFloat16} {
					data := make([]byte, size(shape)*dtype.Size())
					for i := range data {
						if data[i] = byte(37 * i); dtype == torch.Bool {
							data[i] %= 2
						}
					}
					x := torch.FromBytes(data, dtype, shape...).ToDevice(d)
					if x.DType() != dtype || x.Device() != d || !reflect.DeepEqual(x.Shape(), append([]int64{}, shape...)) || x.Numel() != size(shape) {
						t.Errorf("%v where %v %v on %v was asked for", x, dtype, shape, d)
					}
					if got := x.Bytes(); string(got) != string(data) {
						t.Errorf("%v: bytes %v became %v", x, data, got)
					}
					if n := int64(len(x.Float64s())); n != size(shape) {
						t.Errorf("%v has %d numbers", x, n)
					}
				}
			}
			x := torch.FromFloat32([]float32{1.5, -2, float32(math.Inf(1)), float32(math.Copysign(0, -1)), nan, 3}, 2, 3).ToDevice(d)
			want := []float64{1.5, -2, math.Inf(1), math.Copysign(0, -1), math.NaN(), 3}
			for i, v := range x.Float64s() {
				if v != want[i] && !math.IsNaN(want[i]) || math.Signbit(v) != math.Signbit(want[i]) {
					t.Errorf("element %d is %v, want %v", i, v, want[i])
				}
			}
			if got := torch.FromBytes(x.Bytes(), torch.Float32, 6).Bytes(); string(got) != string(x.Bytes()) {
				t.Error("bits were lost")
			}
			// A column, whose elements do not lie together, reads in its own order.
			column := torch.FromInt64([]int64{1, 2, 3, 4, 5, 6}, 2, 3).ToDevice(d).Select(1, 2)
			if got := column.Int64s(); !reflect.DeepEqual(got, []int64{3, 6}) || len(column.Bytes()) != 16 {
				t.Errorf("column %v", got)
			}
			if got := torch.FromFloat64([]float64{-1.75}, 1, 1, 1).ToDevice(d).Item(); got != -1.75 {
				t.Errorf("item %v", got)
			}
			if x.Size(0) != 2 || x.Size(-1) != 3 {
				t.Errorf("sizes %d, %d", x.Size(0), x.Size(-1))
			}
			if got, want := x.String(), fmt.Sprintf("float32 [2 3] on %v", d); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	})
	if got := (torch.Tensor{}).String(); got != "undefined tensor" || (torch.Tensor{}).Defined() {
		t.Error(got)
	}
}
