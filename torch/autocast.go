package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

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
	check("autocast", nil, C.hdas_autocast(cbool(d.IsCUDA()), C.int(t.Number()), &was))
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
