package torch

import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// noDType lets libtorch choose the element type of a result.
const noDType = -1

// Zeros returns a tensor of zeros.
func Zeros(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("zeros", func(out *lib.Ctensor) { lib.AtgZeros(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Ones returns a tensor of ones.
func Ones(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("ones", func(out *lib.Ctensor) { lib.AtgOnes(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Full returns a tensor whose elements are all v.
func Full(o Options, v float64, shape ...int64) (r Tensor) {
	d, n := dims(shape)
	scalar(v, func(s lib.Cscalar) {
		r = call("full", func(out *lib.Ctensor) { lib.AtgFull(out, d, n, s, o.DType.Number(), o.Device.c()) })
	})
	return r
}

// Randn returns a tensor of samples from the normal distribution N(0, 1).
func Randn(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("randn", func(out *lib.Ctensor) { lib.AtgRandn(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Uniform_ fills t with samples from the uniform distribution over [from, to), and returns t.
func (t Tensor) Uniform_(from, to float64) Tensor {
	return inPlace(t, "uniform_", func(out *lib.Ctensor) { lib.AtgUniform_(out, t.c(), from, to) })
}

// Bernoulli_ sets each element of t to 1 with probability p, else to 0, and returns t.
func (t Tensor) Bernoulli_(p float64) Tensor {
	return inPlace(t, "bernoulli_", func(out *lib.Ctensor) { lib.AtgBernoulliFloat_(out, t.c(), p) })
}

// Zero_ sets every element of t to zero, and returns t.
func (t Tensor) Zero_() Tensor {
	return inPlace(t, "zero_", func(out *lib.Ctensor) { lib.AtgZero_(out, t.c()) })
}

// Copy_ copies the elements of src, of any type and device, into t, and returns t. The shape of src
// must broadcast to that of t.
func (t Tensor) Copy_(src Tensor) Tensor {
	enter("copy_")
	lib.AtCopy_(t.c(), src.c())
	call("copy_", func(*lib.Ctensor) {}, t, src)
	return t
}

// To returns t with elements of that type. The result shares t's elements if t has that type already.
func (t Tensor) To(dtype DType) Tensor {
	return call("to", func(out *lib.Ctensor) { lib.AtgToDtype(out, t.c(), dtype.Number(), 0, 0) }, t)
}

// ToDevice returns t on device d. The result shares t's elements if t is there already.
func (t Tensor) ToDevice(d Device) Tensor {
	return call("to", func(out *lib.Ctensor) { lib.AtgTo(out, t.c(), d.c()) }, t)
}

// Detach returns a tensor that shares t's elements and through which no gradient flows.
func (t Tensor) Detach() Tensor {
	return call("detach", func(out *lib.Ctensor) { lib.AtgDetach(out, t.c()) }, t)
}

// Add returns t + u. The shapes broadcast, as in all element-wise operations here.
func (t Tensor) Add(u Tensor) Tensor {
	return call("add", func(out *lib.Ctensor) { lib.AtgAdd(out, t.c(), u.c()) }, t, u)
}

// Add_ adds u to t in place, and returns t.
func (t Tensor) Add_(u Tensor) Tensor {
	return inPlace(t, "add_", func(out *lib.Ctensor) { lib.AtgAdd_(out, t.c(), u.c()) }, u)
}

// Sub returns t - u.
func (t Tensor) Sub(u Tensor) Tensor {
	return call("sub", func(out *lib.Ctensor) { lib.AtgSub(out, t.c(), u.c()) }, t, u)
}

// Mul returns the element-wise product t * u.
func (t Tensor) Mul(u Tensor) Tensor {
	return call("mul", func(out *lib.Ctensor) { lib.AtgMul(out, t.c(), u.c()) }, t, u)
}

// Reciprocal returns 1/t, element-wise.
func (t Tensor) Reciprocal() Tensor {
	return call("reciprocal", func(out *lib.Ctensor) { lib.AtgReciprocal(out, t.c()) }, t)
}

// AddScalar returns t + v.
func (t Tensor) AddScalar(v float64) (r Tensor) {
	scalar(v, func(s lib.Cscalar) {
		r = call("add", func(out *lib.Ctensor) { lib.AtgAddScalar(out, t.c(), s) }, t)
	})
	return r
}

// AddScalar_ adds v to every element of t in place, and returns t.
func (t Tensor) AddScalar_(v float64) Tensor {
	scalar(v, func(s lib.Cscalar) {
		inPlace(t, "add_", func(out *lib.Ctensor) { lib.AtgAddScalar_(out, t.c(), s) })
	})
	return t
}

// MulScalar returns t * v.
func (t Tensor) MulScalar(v float64) (r Tensor) {
	scalar(v, func(s lib.Cscalar) {
		r = call("mul", func(out *lib.Ctensor) { lib.AtgMulScalar(out, t.c(), s) }, t)
	})
	return r
}

// MulScalar_ multiplies every element of t by v in place, and returns t.
func (t Tensor) MulScalar_(v float64) Tensor {
	scalar(v, func(s lib.Cscalar) {
		inPlace(t, "mul_", func(out *lib.Ctensor) { lib.AtgMulScalar_(out, t.c(), s) })
	})
	return t
}

// Clamp_ clips every element of t to [low, high], and returns t.
func (t Tensor) Clamp_(low, high float64) Tensor {
	return inPlace(t, "clamp_", func(out *lib.Ctensor) {
		scalar(low, func(l lib.Cscalar) { scalar(high, func(h lib.Cscalar) { lib.AtgClamp_(out, t.c(), l, h) }) })
	})
}

// Sum returns the sum of all elements, as a scalar tensor.
func (t Tensor) Sum() Tensor {
	return call("sum", func(out *lib.Ctensor) { lib.AtgSum(out, t.c(), noDType) }, t)
}

// SumDim returns the sums over dimension d; the result lacks that dimension.
func (t Tensor) SumDim(d int64) Tensor {
	return call("sum", func(out *lib.Ctensor) { lib.AtgSumDimIntlist(out, t.c(), []int64{d}, 1, 0, noDType) }, t)
}

// Mean returns the mean of all elements, as a scalar tensor.
func (t Tensor) Mean() Tensor {
	return call("mean", func(out *lib.Ctensor) { lib.AtgMean(out, t.c(), noDType) }, t)
}

// Softmax returns exp(t) divided by the sum of exp(t) along dimension d.
func (t Tensor) Softmax(d int64) Tensor {
	return call("softmax", func(out *lib.Ctensor) { lib.AtgSoftmax(out, t.c(), d, noDType) }, t)
}

// Argmax returns the indices (Int64) of the largest elements along dimension d; the result lacks that
// dimension.
func (t Tensor) Argmax(d int64) Tensor {
	return call("argmax", func(out *lib.Ctensor) { lib.AtgArgmax(out, t.c(), d, 0, 0) }, t)
}

// Greater returns t > u, element-wise, as a Bool tensor.
func (t Tensor) Greater(u Tensor) Tensor {
	return call("gt", func(out *lib.Ctensor) { lib.AtgGtTensor(out, t.c(), u.c()) }, t, u)
}

// Gather returns the elements of t at the positions index (Int64) along dimension d, in the shape of
// index (torch.gather).
func (t Tensor) Gather(d int64, index Tensor) Tensor {
	return call("gather", func(out *lib.Ctensor) { lib.AtgGather(out, t.c(), d, index.c(), 0) }, t, index)
}

// Equal returns t == u, element-wise, as a Bool tensor.
func (t Tensor) Equal(u Tensor) Tensor {
	return call("eq", func(out *lib.Ctensor) { lib.AtgEqTensor(out, t.c(), u.c()) }, t, u)
}

// TopK returns the indices (Int64) of the k largest elements along dimension d, largest first.
func (t Tensor) TopK(k, d int64) Tensor {
	enter("topk")
	var out [2]lib.Ctensor // values, indices
	lib.AtgTopk(&out[0], t.c(), k, d, 1, 1)
	check("topk", []Tensor{t}, (*C.char)(unsafe.Pointer(lib.GetAndResetLastErr())))
	adopt(out[0]).Free()
	return adopt(out[1])
}

// IsFinite returns a Bool tensor of t's shape: true for each element that is neither infinite nor NaN.
func (t Tensor) IsFinite() Tensor {
	return call("isfinite", func(out *lib.Ctensor) { lib.AtgIsfinite(out, t.c()) }, t)
}

// Reshape returns the elements of t, in the same row-major order, in another shape. One size may be
// -1: it follows from the others. The result shares t's elements where the memory layout allows it.
func (t Tensor) Reshape(shape ...int64) Tensor {
	d, n := dims(shape)
	return call("reshape", func(out *lib.Ctensor) { lib.AtgReshape(out, t.c(), d, n) }, t)
}

// Permute returns t with its dimensions in the given order. The result shares t's elements.
func (t Tensor) Permute(order ...int64) Tensor {
	d, n := dims(order)
	return call("permute", func(out *lib.Ctensor) { lib.AtgPermute(out, t.c(), d, n) }, t)
}

// Narrow returns the part of t from index start to start+length-1 of dimension d. The result shares
// t's elements.
func (t Tensor) Narrow(d, start, length int64) Tensor {
	return call("narrow", func(out *lib.Ctensor) { lib.AtgNarrow(out, t.c(), d, start, length) }, t)
}

// Select returns the part of t at index i of dimension d; the result lacks that dimension and shares
// t's elements.
func (t Tensor) Select(d, i int64) Tensor {
	return call("select", func(out *lib.Ctensor) { lib.AtgSelect(out, t.c(), d, i) }, t)
}

// Cat returns the concatenation of ts along the existing dimension d.
func Cat(ts []Tensor, d int64) Tensor {
	return call("cat", func(out *lib.Ctensor) { lib.AtgCat(out, cs(ts), len(ts), d) }, ts...)
}

// Stack returns the tensors of ts, which all have one shape, joined along a new dimension d.
func Stack(ts []Tensor, d int64) Tensor {
	return call("stack", func(out *lib.Ctensor) { lib.AtgStack(out, cs(ts), len(ts), d) }, ts...)
}

func cs(ts []Tensor) []lib.Ctensor {
	out := make([]lib.Ctensor, max(len(ts), 1))
	for i, t := range ts {
		out[i] = t.c()
	}
	return out
}

// ReLU returns max(t, 0), element-wise.
func (t Tensor) ReLU() Tensor {
	return call("relu", func(out *lib.Ctensor) { lib.AtgRelu(out, t.c()) }, t)
}

// ConvOptions holds the geometry of a convolution. Each slice holds one number for both directions, or
// two: (vertical, horizontal).
type ConvOptions struct {
	Stride, Padding, Dilation []int64 // nil means 1, 0 and 1
	Groups                    int64   // 0 means 1
}

// Conv2d returns the convolution (N,K,H',W') of x (N,C,H,W) with weight (K,C/Groups,kh,kw), plus bias
// (K), which may be undefined.
func Conv2d(x, weight, bias Tensor, o ConvOptions) Tensor {
	stride, padding, dilation := pair(o.Stride, 1), pair(o.Padding, 0), pair(o.Dilation, 1)
	return call("conv2d", func(out *lib.Ctensor) {
		lib.AtgConv2d(out, x.c(), weight.c(), bias.optional(), stride, 2, padding, 2, dilation, 2, max(o.Groups, 1))
	}, x, weight, bias)
}

// pair returns v as two numbers (vertical, horizontal): both are none if v is empty.
func pair(v []int64, none int64) []int64 {
	switch len(v) {
	case 0:
		return []int64{none, none}
	case 1:
		return []int64{v[0], v[0]}
	}
	return v
}

// BatchNorm returns weight * (x - mean) / sqrt(variance + eps) + bias for x (N,C,H,W), with
// per-channel statistics. If training is true, mean and variance are those of the batch, and
// runningMean and runningVar (C) are updated in place: running = (1-momentum) * running + momentum *
// batch. Else they are runningMean and runningVar. weight and bias (C) may be undefined: 1 and 0.
func BatchNorm(x, weight, bias, runningMean, runningVar Tensor, training bool, momentum, eps float64) Tensor {
	return call("batch_norm", func(out *lib.Ctensor) {
		lib.AtgBatchNorm(out, x.c(), weight.optional(), bias.optional(), runningMean.optional(), runningVar.optional(), flag(training), momentum, eps, 1)
	}, x, weight, bias, runningMean, runningVar)
}

// MaxPool2d returns the maximum of each square window of x (N,C,H,W). Padded pixels count as minus
// infinity.
func MaxPool2d(x Tensor, kernel, stride, padding int64) Tensor {
	k, s, p, d := pair([]int64{kernel}, 0), pair([]int64{stride}, 0), pair([]int64{padding}, 0), pair(nil, 1)
	return call("max_pool2d", func(out *lib.Ctensor) {
		lib.AtgMaxPool2d(out, x.c(), k, 2, s, 2, p, 2, d, 2, 0)
	}, x)
}

// AvgPool2d returns the mean of each square window of x (N,C,H,W). Padded pixels are not counted
// (count_include_pad=False).
func AvgPool2d(x Tensor, kernel, stride, padding int64) Tensor {
	k, s, p := pair([]int64{kernel}, 0), pair([]int64{stride}, 0), pair([]int64{padding}, 0)
	return call("avg_pool2d", func(out *lib.Ctensor) {
		lib.AtgAvgPool2d(out, x.c(), k, 2, s, 2, p, 2, 0, 0, 0, 1)
	}, x)
}

// GlobalAvgPool returns the mean of x (N,C,H,W) over H and W, of shape (N,C,1,1).
func GlobalAvgPool(x Tensor) Tensor {
	return call("adaptive_avg_pool2d", func(out *lib.Ctensor) { lib.AtgAdaptiveAvgPool2d(out, x.c(), []int64{1, 1}, 2) }, x)
}

// Linear returns x (N,in) times the transpose of weight (out,in), plus bias (out), which may be
// undefined. The result has shape (N,out).
func Linear(x, weight, bias Tensor) Tensor {
	return call("linear", func(out *lib.Ctensor) { lib.AtgLinear(out, x.c(), weight.c(), bias.optional()) }, x, weight, bias)
}

// CrossEntropy returns the cross-entropy of logits (N,K) with labels (N), averaged over the batch, as
// a scalar tensor. Labels are Int64 in [0,K). smoothing in [0,1) is the label smoothing: the target
// distribution is (1-smoothing) for the label plus smoothing/K for every class.
func CrossEntropy(logits, labels Tensor, smoothing float64) Tensor {
	const mean, ignoreNone = 1, -100
	return call("cross_entropy_loss", func(out *lib.Ctensor) {
		lib.AtgCrossEntropyLoss(out, logits.c(), labels.c(), nil, mean, ignoreNone, smoothing)
	}, logits, labels)
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
