package ops

import (
	"fmt"

	"hdas/models/layer"
	"hdas/torch/kernel"
)

// Round is one round of an operation, with the names of its parameters.
type Round struct {
	kernel.Round
	Places
}

// Places holds the name prefixes of a round's parameters, relative to its operation. The convolutions
// have a "weight", the batch norm has "weight", "bias", "running_mean" and "running_var".
type Places struct{ WindowAt, PointAt, ShiftedAt, NormAt string }

// norm returns the round with a batch norm added at its end, whose parameters have the prefix at.
func (r Round) norm(at string, affine bool) Round {
	r.Norm, r.Affine, r.NormAt = true, affine, at
	return r
}

// Rounds describes how an operation is computed. It implements layer.Layer.
type Rounds []Round

// Convolutions returns the rounds of the convolutions in a sequence from layer i on, each with a ReLU before it and a batch norm behind
// it if there are any, and the number of layers that they are.
func Convolutions(l layer.Sequence, i int) (rounds Rounds, n int) {
	for k := i; ; n = k - i {
		_, relu := at(l, k).(layer.ReLU)
		if relu {
			k++
		}
		c, ok := at(l, k).(layer.Conv)
		if !ok || !relu && n > 0 && rounds[len(rounds)-1].Norm {
			return rounds, n
		}
		r := Round{Round: kernel.Round{ReLU: relu, Window: kernel.Dense, Kernel: both(c.Kernel), Stride: both(c.Stride), Padding: both(c.Padding),
			Dilation: both(1), In: c.In, Out: c.Out}, Places: Places{WindowAt: fmt.Sprint(k)}}
		if c.Kernel == 1 && c.Stride == 1 && c.Padding == 0 {
			r.Window, r.Places = kernel.Point, Places{PointAt: fmt.Sprint(k)}
		}
		k++
		if norm, ok := at(l, k).(layer.BatchNorm); ok {
			r = r.norm(fmt.Sprint(k), norm.Affine)
			k++
		}
		rounds = append(rounds, r)
	}
}

// Product returns a fully connected layer without its bias as a round: a 1x1 convolution, whose weight has the layer's shape.
func Product(l layer.Linear) Rounds {
	return Rounds{{Round: kernel.Round{Kernel: both(1), Stride: both(1), Dilation: both(1), In: l.In, Out: l.Out}}}
}

// at returns a layer of a sequence, nil behind the last.
func at(l layer.Sequence, i int) layer.Layer {
	if i < len(l) {
		return l[i]
	}
	return nil
}

// Params returns the parameters of all rounds, in the order of PyTorch's state_dict.
func (l Rounds) Params() []layer.Param {
	var params []layer.Param
	for _, r := range l {
		for _, w := range []struct {
			at    string
			shape []int64
		}{{r.WindowAt, r.WindowShape()}, {r.PointAt, r.PointShape()}, {r.ShiftedAt, r.ShiftedShape()}} {
			if w.shape != nil {
				params = append(params, layer.Weight(w.at+".weight", w.shape...))
			}
		}
		if r.Norm {
			params = append(params, layer.Under(r.NormAt, layer.BatchNorm{C: r.Out, Affine: r.Affine}.Params())...)
		}
	}
	return params
}

// Cost returns the shape of the output and the cost for an input of that shape. The input must fit; see
// Check.
func (l Rounds) Cost(in layer.Shape) (layer.Shape, layer.Cost) {
	cost := layer.Cost{Parameters: layer.Parameters(l.Params())}
	for _, r := range l {
		h, w, err := r.Size(in.H, in.W)
		if err != nil {
			return layer.Shape{}, cost
		}
		in = layer.Shape{C: r.Out, H: h, W: w}
		pixels := h * w
		switch r.Window {
		case kernel.Dense:
			cost.MACs += pixels * r.Out * r.In * r.Taps()
		case kernel.Depthwise:
			cost.MACs += pixels * (r.In*r.Taps() + r.In*r.Out)
		case kernel.Point, kernel.Halve:
			cost.MACs += pixels * r.In * r.Out
		}
	}
	return in, cost
}

// Check returns an error if an input of that shape does not fit.
func (l Rounds) Check(in layer.Shape) error {
	for _, r := range l {
		if in.C != r.In {
			return fmt.Errorf("%v of %d channels cannot read an input of shape %v", r.Window, r.In, in)
		}
		h, w, err := r.Size(in.H, in.W)
		if err != nil {
			return err
		}
		in = layer.Shape{C: r.Out, H: h, W: w}
	}
	return nil
}
