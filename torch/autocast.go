package torch

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Precision is what a network computes in: its tensors' type, and the type of autocast.
type Precision struct {
	DType DType
	// Autocast is BFloat16 or Float16 where convolutions and matrix products are computed in it from
	// float32 weights, and what follows in what they give; Float32, the zero value, for none.
	Autocast DType
}

var precisions = map[string]Precision{
	"float32": {}, "fp32": {}, "float64": {DType: Float64}, "bf16": {Autocast: BFloat16}, "fp16": {Autocast: Float16},
}

// Precisions are the names that ParsePrecision knows; float32 is fp32, too.
var Precisions = []string{"float32", "float64", "bf16", "fp16"}

// ParsePrecision reads a precision for a device. On the CPU libtorch does not autocast to float16.
func ParsePrecision(name string, d Device) (Precision, error) {
	p, ok := precisions[name]
	if !ok {
		return p, fmt.Errorf("precision %q is unknown; known are %v", name, Precisions)
	}
	if p.Autocast == Float16 && !d.IsCUDA() {
		return p, errors.New("precision fp16 is for CUDA devices; on the CPU use bf16")
	}
	return p, nil
}

// Autocast runs f with torch.autocast's rules on a device: convolutions and matrix products are
// computed in that type, losses and sums in float32. With Float32 it only runs f. Gradients are asked
// for outside.
func Autocast(d Device, t DType, f func()) {
	enter("autocast")
	if t == Float32 {
		f()
		return
	}
	var was C.hdas_cast
	check("autocast", nil, C.hdas_autocast(cbool(d.IsCUDA()), C.int(t.c()), &was))
	defer func() { check("autocast", nil, C.hdas_autocast_end(was)) }()
	f()
}

// ChannelsLast is t (N,C,H,W), its channels innermost in memory; t itself where they are.
func (t Tensor) ChannelsLast() Tensor {
	enter("channels_last")
	var out C.ht
	check("channels_last", []Tensor{t}, C.hdas_channels_last(&out, t.ht()))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
