package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Autocast runs f under the rules of torch.autocast for device d: convolutions and matrix products
// compute in type t, losses and sums in float32. With t Float32 it only calls f. Call Grad after
// Autocast has returned, not inside f.
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

// ChannelsLast returns t (N,C,H,W) in PyTorch's channels_last memory format: the channels of one
// pixel are adjacent in memory. The result shares t's elements if t already has this format.
func (t Tensor) ChannelsLast() Tensor {
	enter("channels_last")
	var out C.ht
	check("channels_last", []Tensor{t}, C.hdas_channels_last(&out, t.ht()))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
