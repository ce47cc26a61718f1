package torch

// #include "shim.h"
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// NormsFailed begins the text of an error of a batch norm over processes, one of which has not answered.
const NormsFailed = "a batch norm over the processes: "

// SetProcesses sets the processes over which batch norms compute with kernel.SyncStatistics; this one is that of the rank. A
// single process is the default: rank 0 of 1. allReduce is a C function hdas_all_reduce (shim.h), which is called with
// group by passes and gradients; both must stay valid until the next call.
func SetProcesses(rank, world int, allReduce, group unsafe.Pointer) {
	enter("set_processes")
	C.hdas_set_processes(C.int(rank), C.int(world), C.hdas_all_reduce(allReduce), group)
}

// SyncBatchNorm is BatchNorm in training, with the statistics of the images of all processes, each of which calls it
// (torch.nn.SyncBatchNorm). The momentum is 0.1, eps 1e-5. If counts is false, the images of this process are normalised, but
// count for nothing. Gradients are right if the losses of the processes are parts of one sum.
func SyncBatchNorm(x, weight, bias, runningMean, runningVar Tensor, counts bool) Tensor {
	const op = "sync_batch_norm"
	enter(op)
	all := []Tensor{x, weight, bias, runningMean, runningVar}
	var h [5]C.ht
	for i, t := range all {
		if t.Defined() {
			h[i] = t.ht()
		}
	}
	var out C.ht
	check(op, all, C.hdas_sync_norm(&out, h[0], h[1], h[2], h[3], h[4], cbool(counts)))
	return adopt(lib.Ctensor(unsafe.Pointer(out)))
}
