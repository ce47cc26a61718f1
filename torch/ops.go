package torch

import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// noDType leaves an operation's result type to libtorch.
const noDType = -1

// Zeros is a tensor of zeros.
func Zeros(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("zeros", func(out *lib.Ctensor) { lib.AtgZeros(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Ones is a tensor of ones.
func Ones(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("ones", func(out *lib.Ctensor) { lib.AtgOnes(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Full is a tensor whose elements are all v.
func Full(o Options, v float64, shape ...int64) (r Tensor) {
	d, n := dims(shape)
	scalar(v, func(s lib.Cscalar) {
		r = call("full", func(out *lib.Ctensor) { lib.AtgFull(out, d, n, s, o.DType.Number(), o.Device.c()) })
	})
	return r
}

// Randn is a tensor of draws from N(0, 1).
func Randn(o Options, shape ...int64) Tensor {
	d, n := dims(shape)
	return call("randn", func(out *lib.Ctensor) { lib.AtgRandn(out, d, n, o.DType.Number(), o.Device.c()) })
}

// Uniform_ fills t with draws from [from, to).
func (t Tensor) Uniform_(from, to float64) Tensor {
	return inPlace(t, "uniform_", func(out *lib.Ctensor) { lib.AtgUniform_(out, t.c(), from, to) })
}

// Bernoulli_ fills t with ones, each with probability p, and zeros.
func (t Tensor) Bernoulli_(p float64) Tensor {
	return inPlace(t, "bernoulli_", func(out *lib.Ctensor) { lib.AtgBernoulliFloat_(out, t.c(), p) })
}

// Zero_ sets every element to zero.
func (t Tensor) Zero_() Tensor {
	return inPlace(t, "zero_", func(out *lib.Ctensor) { lib.AtgZero_(out, t.c()) })
}

// Copy_ copies src, of a shape that broadcasts to t's, into t, whatever its type and device.
func (t Tensor) Copy_(src Tensor) Tensor {
	enter("copy_")
	lib.AtCopy_(t.c(), src.c())
	call("copy_", func(*lib.Ctensor) {}, t, src)
	return t
}

// To is t with elements of that type; t itself when it has them already.
func (t Tensor) To(dtype DType) Tensor {
	return call("to", func(out *lib.Ctensor) { lib.AtgToDtype(out, t.c(), dtype.Number(), 0, 0) }, t)
}

// ToDevice is t on device d; t itself when it is there already.
func (t Tensor) ToDevice(d Device) Tensor {
	return call("to", func(out *lib.Ctensor) { lib.AtgTo(out, t.c(), d.c()) }, t)
}

// Detach is t outside the graph, sharing its elements.
func (t Tensor) Detach() Tensor {
	return call("detach", func(out *lib.Ctensor) { lib.AtgDetach(out, t.c()) }, t)
}

// Add is t + u; the shapes broadcast, as in all arithmetic here.
func (t Tensor) Add(u Tensor) Tensor {
	return call("add", func(out *lib.Ctensor) { lib.AtgAdd(out, t.c(), u.c()) }, t, u)
}

// Add_ adds u to t in place.
func (t Tensor) Add_(u Tensor) Tensor {
	return inPlace(t, "add_", func(out *lib.Ctensor) { lib.AtgAdd_(out, t.c(), u.c()) }, u)
}

// Sub is t - u.
func (t Tensor) Sub(u Tensor) Tensor {
	return call("sub", func(out *lib.Ctensor) { lib.AtgSub(out, t.c(), u.c()) }, t, u)
}

// Mul is t * u, element by element.
func (t Tensor) Mul(u Tensor) Tensor {
	return call("mul", func(out *lib.Ctensor) { lib.AtgMul(out, t.c(), u.c()) }, t, u)
}

// Reciprocal is 1/t.
func (t Tensor) Reciprocal() Tensor {
	return call("reciprocal", func(out *lib.Ctensor) { lib.AtgReciprocal(out, t.c()) }, t)
}

// AddScalar is t + v.
func (t Tensor) AddScalar(v float64) (r Tensor) {
	scalar(v, func(s lib.Cscalar) {
		r = call("add", func(out *lib.Ctensor) { lib.AtgAddScalar(out, t.c(), s) }, t)
	})
	return r
}

// AddScalar_ adds v to t in place.
func (t Tensor) AddScalar_(v float64) Tensor {
	scalar(v, func(s lib.Cscalar) {
		inPlace(t, "add_", func(out *lib.Ctensor) { lib.AtgAddScalar_(out, t.c(), s) })
	})
	return t
}

// MulScalar is t * v.
func (t Tensor) MulScalar(v float64) (r Tensor) {
	scalar(v, func(s lib.Cscalar) {
		r = call("mul", func(out *lib.Ctensor) { lib.AtgMulScalar(out, t.c(), s) }, t)
	})
	return r
}

// MulScalar_ multiplies t by v in place.
func (t Tensor) MulScalar_(v float64) Tensor {
	scalar(v, func(s lib.Cscalar) {
		inPlace(t, "mul_", func(out *lib.Ctensor) { lib.AtgMulScalar_(out, t.c(), s) })
	})
	return t
}

// Sum is the sum of all elements, a scalar.
func (t Tensor) Sum() Tensor {
	return call("sum", func(out *lib.Ctensor) { lib.AtgSum(out, t.c(), noDType) }, t)
}

// SumDim sums over dimension d, which disappears.
func (t Tensor) SumDim(d int64) Tensor {
	return call("sum", func(out *lib.Ctensor) { lib.AtgSumDimIntlist(out, t.c(), []int64{d}, 1, 0, noDType) }, t)
}

// Mean is the mean of all elements, a scalar.
func (t Tensor) Mean() Tensor {
	return call("mean", func(out *lib.Ctensor) { lib.AtgMean(out, t.c(), noDType) }, t)
}

// Softmax is exp(t) over its sum along dimension d.
func (t Tensor) Softmax(d int64) Tensor {
	return call("softmax", func(out *lib.Ctensor) { lib.AtgSoftmax(out, t.c(), d, noDType) }, t)
}

// Argmax is the index of the largest element along dimension d, which disappears.
func (t Tensor) Argmax(d int64) Tensor {
	return call("argmax", func(out *lib.Ctensor) { lib.AtgArgmax(out, t.c(), d, 0, 0) }, t)
}

// Greater is t > u, element by element, as Bool.
func (t Tensor) Greater(u Tensor) Tensor {
	return call("gt", func(out *lib.Ctensor) { lib.AtgGtTensor(out, t.c(), u.c()) }, t, u)
}

// Gather picks along dimension d the elements that index, Int64, names.
func (t Tensor) Gather(d int64, index Tensor) Tensor {
	return call("gather", func(out *lib.Ctensor) { lib.AtgGather(out, t.c(), d, index.c(), 0) }, t, index)
}

// Equal is t == u, element by element, as Bool.
func (t Tensor) Equal(u Tensor) Tensor {
	return call("eq", func(out *lib.Ctensor) { lib.AtgEqTensor(out, t.c(), u.c()) }, t, u)
}

// TopK are the indices of the k largest elements along dimension d, largest first.
func (t Tensor) TopK(k, d int64) Tensor {
	enter("topk")
	var out [2]lib.Ctensor // values, indices
	lib.AtgTopk(&out[0], t.c(), k, d, 1, 1)
	check("topk", []Tensor{t}, (*C.char)(unsafe.Pointer(lib.GetAndResetLastErr())))
	adopt(out[0]).Free()
	return adopt(out[1])
}

// IsFinite is true where an element is neither infinite nor NaN.
func (t Tensor) IsFinite() Tensor {
	return call("isfinite", func(out *lib.Ctensor) { lib.AtgIsfinite(out, t.c()) }, t)
}

// Reshape is t with another shape and the same elements in the same order.
func (t Tensor) Reshape(shape ...int64) Tensor {
	d, n := dims(shape)
	return call("reshape", func(out *lib.Ctensor) { lib.AtgReshape(out, t.c(), d, n) }, t)
}

// Narrow is the part of t from start, of that length, along dimension d; it shares t's elements.
func (t Tensor) Narrow(d, start, length int64) Tensor {
	return call("narrow", func(out *lib.Ctensor) { lib.AtgNarrow(out, t.c(), d, start, length) }, t)
}

// Select is t at index i of dimension d, which disappears; it shares t's elements.
func (t Tensor) Select(d, i int64) Tensor {
	return call("select", func(out *lib.Ctensor) { lib.AtgSelect(out, t.c(), d, i) }, t)
}

// Cat joins tensors along dimension d.
func Cat(ts []Tensor, d int64) Tensor {
	return call("cat", func(out *lib.Ctensor) { lib.AtgCat(out, cs(ts), len(ts), d) }, ts...)
}

// Stack joins tensors of one shape along a new dimension d.
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

// ReLU is max(t, 0).
func (t Tensor) ReLU() Tensor {
	return call("relu", func(out *lib.Ctensor) { lib.AtgRelu(out, t.c()) }, t)
}

// ConvOptions are the geometry of a convolution, the same in both directions unless given in
// full: a slice holds one number for both, or (vertical, horizontal).
type ConvOptions struct {
	Stride, Padding, Dilation []int64 // nil: 1, 0, 1
	Groups                    int64   // 0: 1
}

// Conv2d convolves x (N,C,H,W) with weight (K,C/Groups,kh,kw) and adds bias (K), which may be
// undefined.
func Conv2d(x, weight, bias Tensor, o ConvOptions) Tensor {
	stride, padding, dilation := pair(o.Stride, 1), pair(o.Padding, 0), pair(o.Dilation, 1)
	return call("conv2d", func(out *lib.Ctensor) {
		lib.AtgConv2d(out, x.c(), weight.c(), bias.optional(), stride, 2, padding, 2, dilation, 2, max(o.Groups, 1))
	}, x, weight, bias)
}

func pair(v []int64, none int64) []int64 {
	switch len(v) {
	case 0:
		return []int64{none, none}
	case 1:
		return []int64{v[0], v[0]}
	}
	return v
}

// BatchNorm normalises x (N,C,H,W) per channel, by the batch's mean and variance while training,
// which then also move the running ones by momentum, else by the running ones. weight and bias
// (C) may be undefined.
func BatchNorm(x, weight, bias, runningMean, runningVar Tensor, training bool, momentum, eps float64) Tensor {
	return call("batch_norm", func(out *lib.Ctensor) {
		lib.AtgBatchNorm(out, x.c(), weight.optional(), bias.optional(), runningMean.optional(), runningVar.optional(), flag(training), momentum, eps, 1)
	}, x, weight, bias, runningMean, runningVar)
}

// MaxPool2d takes the largest of each window of x (N,C,H,W); the padding counts as minus infinity.
func MaxPool2d(x Tensor, kernel, stride, padding int64) Tensor {
	k, s, p, d := pair([]int64{kernel}, 0), pair([]int64{stride}, 0), pair([]int64{padding}, 0), pair(nil, 1)
	return call("max_pool2d", func(out *lib.Ctensor) {
		lib.AtgMaxPool2d(out, x.c(), k, 2, s, 2, p, 2, d, 2, 0)
	}, x)
}

// AvgPool2d takes the mean of each window of x (N,C,H,W); the padding is not counted.
func AvgPool2d(x Tensor, kernel, stride, padding int64) Tensor {
	k, s, p := pair([]int64{kernel}, 0), pair([]int64{stride}, 0), pair([]int64{padding}, 0)
	return call("avg_pool2d", func(out *lib.Ctensor) {
		lib.AtgAvgPool2d(out, x.c(), k, 2, s, 2, p, 2, 0, 0, 0, 1)
	}, x)
}

// GlobalAvgPool is the mean over H and W of x (N,C,H,W): (N,C,1,1).
func GlobalAvgPool(x Tensor) Tensor {
	return call("adaptive_avg_pool2d", func(out *lib.Ctensor) { lib.AtgAdaptiveAvgPool2d(out, x.c(), []int64{1, 1}, 2) }, x)
}

// Linear is x (N,in) times the transpose of weight (out,in), plus bias (out), which may be
// undefined.
func Linear(x, weight, bias Tensor) Tensor {
	return call("linear", func(out *lib.Ctensor) { lib.AtgLinear(out, x.c(), weight.c(), bias.optional()) }, x, weight, bias)
}

// CrossEntropy is the mean over the batch of the cross-entropy of logits (N,K) with labels (N),
// Int64 in [0,K), of which the share smoothing in [0,1) is spread over all classes.
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
