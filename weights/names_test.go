package weights_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"hdas/torch/dtype"
	"hdas/weights"
)

// The two programs' names of one network: of every kind of part. The authors' names are those of
// internal/golden/data/hdas; their reducing skips and dilated convolutions are named as in the program
// that theirs is made from (khanrc/pt.darts).
var pairs = [][2]string{
	{"stem.0.weight", "stem.0.weight"},
	{"linear.bias", "classifier.bias"},
	{"aux_head.net.3.running_mean", "auxiliary_head.features.3.running_mean"},
	{"aux_head.linear.weight", "auxiliary_head.classifier.weight"},
	{"bigDAG1.preproc0.net.1.weight", "stages.0.preprocess0.op.1.weight"},
	{"bigDAG3.bigDAG.5.1.0.bn.running_var", "stages.2._ops.11.1.running_var"},
	{"cells.12.preproc1.net.2.bias", "cells.12.preprocess1.op.2.bias"},
	{"cells.7.preproc0.conv2.weight", "cells.7.preprocess0.conv_2.weight"},
	{"cells.7.preproc0.bn.num_batches_tracked", "cells.7.preprocess0.bn.num_batches_tracked"},
	// A separable convolution.
	{"cells.0.dag.3.0.0.net.0.net.1.weight", "cells.0._ops.6.op.1.weight"},
	{"cells.0.dag.3.0.0.net.0.net.3.bias", "cells.0._ops.6.op.3.bias"},
	{"cells.0.dag.3.0.0.net.1.net.1.weight", "cells.0._ops.6.op.5.weight"},
	{"cells.0.dag.3.0.0.net.1.net.3.running_var", "cells.0._ops.6.op.7.running_var"},
	// A dilated one.
	{"cells.0.dag.1.1.0.net.1.weight", "cells.0._ops.3.op.1.weight"},
	{"cells.0.dag.1.1.0.net.3.weight", "cells.0._ops.3.op.3.weight"},
	// A pooling, and a reducing skip.
	{"cells.6.dag.0.0.0.bn.weight", "cells.6._ops.0.1.weight"},
	{"cells.6.dag.2.1.0.conv1.weight", "cells.6._ops.5.conv_1.weight"},
	{"cells.6.dag.2.1.0.bn.weight", "cells.6._ops.5.bn.weight"},
}

func TestHDASNamesBothWays(t *testing.T) {
	var theirs, ours []string
	for _, p := range pairs {
		theirs, ours = append(theirs, p[0]), append(ours, p[1])
	}
	from, to := weights.FromHDAS(theirs), weights.ToHDAS(ours)
	for _, p := range pairs {
		if got := from(p[0]); got != p[1] {
			t.Errorf("from %s: %q, not %q", p[0], got, p[1])
		}
		if got := to(p[1]); got != p[0] {
			t.Errorf("to %s: %q, not %q", p[1], got, p[0])
		}
	}
	for _, name := range []string{"", "cells.0.dag.0.2.0.bn.weight", "bigDAG0.preproc0.net.1.weight", "cells.x.preproc0.net.1.weight", "alpha_DAG.3"} {
		if got := from(name); got != "" {
			t.Errorf("from %q: %q", name, got)
		}
	}
	factorized := []string{"cells.0._ops.0.1.weight", "cells.0._ops.0.2.weight", "cells.0._ops.0.3.weight"}
	if got := weights.ToHDAS(factorized)(factorized[0]); got != "" {
		t.Errorf("a factorised convolution, which the authors have not, becomes %q", got)
	}
	if weights.IsHDAS(ours) || !weights.IsHDAS(theirs) || !weights.IsHDAS([]string{"net.bigDAG1.preproc0.net.1.weight"}) {
		t.Error("whose names they are is not told")
	}
}

func floats(name string, values ...float32) weights.Entry {
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return weights.Entry{Name: name, Array: weights.NewArray(dtype.Float32, []int64{int64(len(values))}, data)}
}

// own writes these tensors to a file, reads it and returns File.Own.
func own(t *testing.T, entries ...weights.Entry) (names, faults []string) {
	t.Helper()
	var out strings.Builder
	if err := weights.WriteTorch(&out, "x", entries); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse([]byte(out.String()), "")
	if err != nil {
		t.Fatal(err)
	}
	found, errs := f.Own()
	for _, e := range found {
		names = append(names, e.Name)
	}
	for _, e := range errs {
		faults = append(faults, e.Error())
	}
	return names, faults
}

// A state dict with several copies of a cell is read if all copies are equal.
func TestRepeatedTensors(t *testing.T) {
	first, second := floats("cells.0.preproc0.net.1.weight", 1, 2), floats("cells.1.preproc0.net.1.weight", 3, 4)
	again := func(name string, e weights.Entry) weights.Entry { return weights.Entry{Name: name, Array: e.Array} }
	names, faults := own(t, first, second,
		again("net.cells.0.preproc0.net.1.weight", first),
		again("bigDAG1.cells.1.preproc0.net.1.weight", second), // by the number in the network
		again("bigDAG2.cells.0.preproc0.net.1.weight", second)) // by that in the stage
	if want := []string{"cells.0.preprocess0.op.1.weight", "cells.1.preprocess0.op.1.weight"}; !slices.Equal(names, want) || faults != nil {
		t.Errorf("%v, faults %v", names, faults)
	}
	_, faults = own(t, first, second,
		floats("net.cells.0.preproc0.net.1.weight", 1, 3),
		floats("bigDAG2.cells.0.preproc0.net.1.weight", 5, 6),
		floats("optimizer", 1))
	for i, want := range []string{
		"cells.0.preproc0.net.1.weight and net.cells.0.preproc0.net.1.weight are the same tensor of the network, but differ",
		"bigDAG2.cells.0.preproc0.net.1.weight is not a copy of any cell's preproc0.net.1.weight",
		"optimizer is not a name of the H-DAS authors' networks",
	} {
		if i >= len(faults) || faults[i] != want {
			t.Errorf("fault %d of %q is not %q", i, faults, want)
		}
	}
	// Names of DARTS with the prefix of a wrapper for several devices.
	names, faults = own(t, floats("_orig_mod.module.stem.0.weight", 1), floats("_orig_mod.module.stem.1.num_batches_tracked", 1))
	if !slices.Equal(names, []string{"stem.0.weight", "stem.1.num_batches_tracked"}) || faults != nil {
		t.Errorf("%v, faults %v", names, faults)
	}
}

func TestMatchNamesEveryFault(t *testing.T) {
	whole := floats("d", 1)
	whole.DType = dtype.Int32
	found, faults := weights.Match([]weights.Entry{floats("a", 1, 2), floats("x.num_batches_tracked", 1), floats("c", 1), floats("b", 1, 2), whole},
		[]weights.Want{{"missing", []int64{3}}, {"b", []int64{1, 2}}, {"a", []int64{2}}, {"d", []int64{1}}})
	if len(found) != 1 || found[0].Name != "a" {
		t.Errorf("found %v", found)
	}
	err := weights.Faults(faults)
	for _, want := range []string{"4 tensors do not fit", "missing [3] is missing", "b has shape [2], not [1 2]", "c [1] is not a parameter of the network", "d has elements of int32"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if weights.Faults(nil) != nil {
		t.Error("no faults are an error")
	}
}
