package models

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"hdas/internal/torchtest"
	"hdas/models/layer"
	"hdas/models/ops"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/torch/nn"
)

// The rules that every primitive follows, for every Spec.
func TestPrimitives(t *testing.T) {
	for _, name := range ops.Names() {
		for _, spec := range []ops.Spec{
			{C: 4, Stride: 1, Affine: true}, {C: 4, Stride: 2, Affine: true},
			{C: 6, Stride: 1, PoolNorm: true}, {C: 5, Stride: 2, PoolNorm: true, Affine: true},
		} {
			t.Run(fmt.Sprintf("%s/%+v", name, spec), func(t *testing.T) {
				err := torch.Do(func(*torch.Scope) error { promises(t, name, spec); return nil })
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func promises(t *testing.T, name string, spec ops.Spec) {
	rounds, err := ops.New(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	const h, w = 8, 12
	shape, cost := rounds.Cost(layer.Shape{C: spec.C, H: h, W: w})
	if want := (layer.Shape{C: spec.C, H: h / spec.Stride, W: w / spec.Stride}); shape != want {
		t.Errorf("planned output %v, not %v", shape, want)
	}

	build := func() (*nn.Store, compiled) {
		torch.Seed(3)
		b := builder{store: nn.NewStore(torchtest.Options(torch.Float64))}
		b.make(rounds.Params()) // a parameter's name used twice would panic
		return b.store, b.entry(plan.Entry{Rounds: rounds})
	}
	store, m := build()
	defer store.Free()
	if n := store.Count(nil); n != cost.Parameters {
		t.Errorf("%d parameters planned, %d made", cost.Parameters, n)
	}
	x := torch.Randn(torchtest.Options(torch.Float64), 3, spec.C, h, w).SetRequiresGrad(true)
	y := m.run(&nn.Ctx{Train: true}, []torch.Tensor{x})
	if got, want := y.Shape(), []int64{3, shape.C, shape.H, shape.W}; !slices.Equal(got, want) {
		t.Fatalf("output %v, not %v", got, want)
	}
	values := y.Float64s()
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("output holds %v", v)
		}
	}

	p, err := ops.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	if p.Null {
		if slices.ContainsFunc(values, func(v float64) bool { return v != 0 }) || cost != (layer.Cost{}) {
			t.Errorf("carries something, at a cost of %+v", cost)
		}
	} else {
		weights := store.Weights()
		// A batch norm cancels values that are the same for all pixels; squares do not cancel.
		grads := torch.Grad(y.Mul(y).Mul(y).Sum(), append(nn.Tensors(weights), x))
		for i, g := range grads {
			what := "the input"
			if i < len(weights) {
				what = weights[i].Name
			}
			if !g.Defined() || torch.Norm([]torch.Tensor{g}).Item() == 0 {
				t.Errorf("no gradient reaches %s", what)
			}
		}
	}
	if ops.InStage(name) && strings.Contains(name, "conv") {
		t.Error("an operation with weights fits into a stage (Rule 1)")
	}

	again, twin := build()
	defer again.Free()
	if !slices.Equal(twin.run(&nn.Ctx{Train: true}, []torch.Tensor{x}).Float64s(), values) {
		t.Error("the same seed gives another output")
	}
}
