package torch

// #include "shim.h"
import "C"

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
