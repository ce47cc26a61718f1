package kernel

import (
	"errors"
	"fmt"
)

// Window is the kind of computation that a round does on the pixels around each output pixel.
type Window int64

// The kinds of windows.
const (
	Point     Window = iota // a 1x1 convolution
	Depthwise               // a depthwise convolution, then a 1x1 convolution
	Dense                   // a convolution over all channels
	Halve                   // DARTS' FactorizedReduce with stride 2: a 1x1 convolution of the pixels (2y,2x), concatenated with one of the pixels (2y+1,2x+1)
	MaxPool                 // 3x3 max pooling; padded pixels count as minus infinity
	AvgPool                 // 3x3 average pooling; padded pixels are not counted
	Zero                    // zeros, whatever the input is
)

var windows = []string{"1x1 convolution", "depthwise convolution", "convolution", "halving", "max pooling", "average pooling", "zero"}

// String returns the name for error texts.
func (w Window) String() string { return windows[w] }

// Pooling reports whether the window is a pooling.
func (w Window) Pooling() bool { return w == MaxPool || w == AvgPool }

// Weightless reports whether the window is a pooling or Zero: it has no weights and does not change the
// number of channels.
func (w Window) Weightless() bool { return w.Pooling() || w == Zero }

// Round is one step of an operation: an optional ReLU, a window, and an optional batch norm, in that
// order. An operation is a list of rounds; the empty list is the identity. A separable convolution,
// for instance, is two rounds of ReLU, depthwise and 1x1 convolution, and batch norm.
type Round struct {
	ReLU                              bool // a ReLU before the window
	Window                            Window
	Kernel, Stride, Padding, Dilation [2]int64 // vertical, horizontal
	In, Out                           int64    // numbers of channels
	Norm                              bool     // a batch norm after the window, with momentum 0.1 and eps 1e-5
	Affine                            bool     // the batch norm has a scale and a shift
}

// Kind returns r.Window. It is for types that embed Round and have a field Window of their own.
func (r Round) Kind() Window { return r.Window }

// Taps returns the number of pixels in the window, kernel height times kernel width.
func (r Round) Taps() int64 { return r.Kernel[0] * r.Kernel[1] }

// WindowShape returns the weight shape of a depthwise (C,1,kh,kw) or dense (K,C,kh,kw) convolution, or
// nil if the round has none.
func (r Round) WindowShape() []int64 {
	switch r.Window {
	case Depthwise:
		return []int64{r.In, 1, r.Kernel[0], r.Kernel[1]}
	case Dense:
		return []int64{r.Out, r.In, r.Kernel[0], r.Kernel[1]}
	}
	return nil
}

// PointShape returns the weight shape (K,C,1,1) of the 1x1 convolution, or nil if the round has none.
// For Halve it is that of the convolution of the pixels (2y,2x).
func (r Round) PointShape() []int64 {
	switch r.Window {
	case Point, Depthwise:
		return []int64{r.Out, r.In, 1, 1}
	case Halve:
		return []int64{r.Out / 2, r.In, 1, 1}
	}
	return nil
}

// ShiftedShape returns the weight shape (K,C,1,1) of the 1x1 convolution that Halve applies to the
// pixels (2y+1,2x+1), or nil for other windows.
func (r Round) ShiftedShape() []int64 {
	if r.Window == Halve {
		return []int64{r.Out - r.Out/2, r.In, 1, 1}
	}
	return nil
}

// Check returns an error if the round's geometry is invalid or not supported.
func (r Round) Check() error {
	for d := range 2 {
		k, s, p, e := r.Kernel[d], r.Stride[d], r.Padding[d], r.Dilation[d]
		if k < 1 || s < 1 || e < 1 || p < 0 || p > e*(k-1) {
			return fmt.Errorf("%v with kernel %v, stride %v, padding %v, dilation %v: kernel, stride and dilation must be at least 1, padding in 0..dilation*(kernel-1)", r.Window, r.Kernel, r.Stride, r.Padding, r.Dilation)
		}
	}
	one, two := [2]int64{1, 1}, [2]int64{2, 2}
	switch {
	case r.Window < 0 || int(r.Window) >= len(windows):
		return fmt.Errorf("window %d is unknown", int64(r.Window))
	case r.In < 1 || r.Out < 1:
		return fmt.Errorf("%v from %d to %d channels: at least 1 of each is needed", r.Window, r.In, r.Out)
	case r.Window.Weightless() && r.In != r.Out:
		return fmt.Errorf("%v from %d to %d channels: it keeps their number", r.Window, r.In, r.Out)
	case r.Window.Weightless() && r.ReLU:
		return fmt.Errorf("%v behind a ReLU is not provided for", r.Window)
	case r.Window.Pooling() && (r.Kernel != [2]int64{3, 3} || r.Padding != one || r.Dilation != one || r.Stride[0] != r.Stride[1]):
		return fmt.Errorf("%v with kernel %v, stride %v, padding %v: 3x3 with padding 1 and one stride is provided for", r.Window, r.Kernel, r.Stride, r.Padding)
	case r.Window == Zero && (r.Kernel != one || r.Norm):
		return errors.New("a zero has kernel 1 and no batch norm")
	case r.Window == Point && (r.Kernel != one || r.Stride != one):
		return fmt.Errorf("1x1 convolution with kernel %v and stride %v", r.Kernel, r.Stride)
	case r.Window == Halve && (r.Kernel != one || r.Stride != two || r.Out < 2):
		return fmt.Errorf("halving with kernel %v and stride %v to %d channels: kernel 1, stride 2 and at least 2 channels are needed", r.Kernel, r.Stride, r.Out)
	case r.Affine && !r.Norm:
		return errors.New("a scale and a shift without a batch norm")
	}
	return nil
}

// Size returns the height and the width of the output for an input of height h and width w. It returns
// an error if the window does not fit into the padded input, or if Halve gets an odd size.
func (r Round) Size(h, w int64) (oh, ow int64, err error) {
	var out [2]int64
	for d, n := range [2]int64{h, w} {
		room := n + 2*r.Padding[d] - r.Dilation[d]*(r.Kernel[d]-1) - 1
		if n < 1 || room < 0 {
			return 0, 0, fmt.Errorf("%v with kernel %v, padding %v, dilation %v does not fit %dx%d pixels", r.Window, r.Kernel, r.Padding, r.Dilation, h, w)
		}
		if r.Window == Halve && n%2 != 0 {
			return 0, 0, fmt.Errorf("%dx%d pixels cannot be halved: height and width must be even", h, w)
		}
		out[d] = room/r.Stride[d] + 1
	}
	return out[0], out[1], nil
}
