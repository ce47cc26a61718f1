package kernel

import (
	"errors"
	"fmt"
)

// Window is how a round reads the pixels around each output pixel.
type Window int64

// The windows.
const (
	Point     Window = iota // none: a 1x1 convolution of each pixel
	Depthwise               // a convolution of each channel by itself, then a 1x1 convolution
	Dense                   // a convolution over all channels
	Halve                   // stride 2: a 1x1 convolution of the pixels at even places beside one of those at odd places
	MaxPool                 // 3x3; the padding counts as minus infinity
	AvgPool                 // 3x3; the padding is not counted
	Zero                    // zeros, whatever is read
)

var windows = []string{"1x1 convolution", "depthwise convolution", "convolution", "halving", "max pooling", "average pooling", "zero"}

func (w Window) String() string { return windows[w] }

// Pooling reports whether the window is a pooling.
func (w Window) Pooling() bool { return w == MaxPool || w == AvgPool }

// Weightless reports whether the window has no weights and keeps the number of channels.
func (w Window) Weightless() bool { return w.Pooling() || w == Zero }

// Round is one step of an operation: ReLU, a window with its convolution, and a batch norm, each
// where the fields say so. An operation is a list of rounds; the empty list hands its input on.
type Round struct {
	ReLU                              bool // before the window
	Window                            Window
	Kernel, Stride, Padding, Dilation [2]int64 // vertical, horizontal
	In, Out                           int64    // channels
	Norm                              bool     // a batch norm at the end: momentum 0.1, eps 1e-5
	Affine                            bool     // the batch norm has a scale and a shift
}

// Kind is the window.
func (r Round) Kind() Window { return r.Window }

// Taps is the number of pixels under the window.
func (r Round) Taps() int64 { return r.Kernel[0] * r.Kernel[1] }

// The shapes of a round's weights; nil where it has none.

// WindowShape is that of a depthwise (C,1,kh,kw) or a dense (K,C,kh,kw) convolution.
func (r Round) WindowShape() []int64 {
	switch r.Window {
	case Depthwise:
		return []int64{r.In, 1, r.Kernel[0], r.Kernel[1]}
	case Dense:
		return []int64{r.Out, r.In, r.Kernel[0], r.Kernel[1]}
	}
	return nil
}

// PointShape is that of the 1x1 convolution; of a halving, of the one that reads the even pixels.
func (r Round) PointShape() []int64 {
	switch r.Window {
	case Point, Depthwise:
		return []int64{r.Out, r.In, 1, 1}
	case Halve:
		return []int64{r.Out / 2, r.In, 1, 1}
	}
	return nil
}

// ShiftedShape is that of a halving's 1x1 convolution of the odd pixels.
func (r Round) ShiftedShape() []int64 {
	if r.Window == Halve {
		return []int64{r.Out - r.Out/2, r.In, 1, 1}
	}
	return nil
}

// Check is an error where the geometry is impossible.
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

// Size is the height and the width of the output for an input of that height and width. It is an
// error where the window does not fit into the padded input, or an odd size cannot be halved.
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
