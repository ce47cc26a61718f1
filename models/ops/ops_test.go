package ops_test

import (
	"strings"
	"testing"

	"hdas/models/layer"
	"hdas/models/ops"
)

// The candidates of the paper's searches are in the table, the null one first.
func TestCandidates(t *testing.T) {
	if len(ops.Cell) != 8 || len(ops.Stage) != 4 || !ops.IsNull(ops.Cell[0]) || !ops.IsNull(ops.Stage[0]) {
		t.Errorf("cell %v, stage %v", ops.Cell, ops.Stage)
	}
	for _, name := range ops.Cell {
		if !ops.InCell(name) {
			t.Errorf("%s is no operation of a cell", name)
		}
	}
	for _, name := range ops.Stage {
		if !ops.InStage(name) {
			t.Errorf("%s is no operation of a stage", name)
		}
	}
}

func TestUnknown(t *testing.T) {
	if _, err := ops.New("sep_conv_9x9", ops.Spec{C: 4, Stride: 1}); err == nil || !strings.Contains(err.Error(), "sep_conv_7x7") {
		t.Errorf("error %v does not list the known ones", err)
	}
}

// Every operation maps an image of C channels to one of C channels, of the size divided by the stride,
// its rounds are possible, and its parameters have names of their own.
func TestShapes(t *testing.T) {
	for _, name := range ops.Names() {
		for _, s := range []ops.Spec{{C: 4, Stride: 1, Affine: true}, {C: 6, Stride: 2, PoolNorm: true}, {C: 5, Stride: 2, PoolNorm: true, Affine: true}} {
			rounds, err := ops.New(name, s)
			if err != nil {
				t.Fatal(err)
			}
			in := layer.Shape{C: s.C, H: 8, W: 12}
			if err := rounds.Check(in); err != nil {
				t.Errorf("%s %+v: %v", name, s, err)
			}
			if got, _ := rounds.Cost(in); got != (layer.Shape{C: s.C, H: 8 / s.Stride, W: 12 / s.Stride}) {
				t.Errorf("%s %+v: output %v", name, s, got)
			}
			names := map[string]bool{}
			for _, p := range rounds.Params() {
				if names[p.Name] {
					t.Errorf("%s %+v: two parameters %s", name, s, p.Name)
				}
				names[p.Name] = true
			}
			for i, r := range rounds {
				if err := r.Round.Check(); err != nil {
					t.Errorf("%s %+v, round %d: %v", name, s, i, err)
				}
			}
		}
	}
}

// An odd size cannot be halved, and an image of another number of channels does not fit.
func TestWhatDoesNotFit(t *testing.T) {
	halving := ops.FactorizedReduce(4, 8, true)
	for _, in := range []layer.Shape{{C: 4, H: 7, W: 8}, {C: 4, H: 8, W: 7}, {C: 5, H: 8, W: 8}} {
		if err := halving.Check(in); err == nil {
			t.Errorf("%v can be halved", in)
		}
	}
}
