package export

import "math"

// values returns count values of one of the batch norm's parameters, from its first channel on. Without
// Affine, the scale is 1 and the shift is 0.
func (n *norm) values(read Weights, name string, count int64) []float64 {
	if n.Affine || name == "running_mean" || name == "running_var" {
		return read(n.at + "." + name)[n.from : n.from+count]
	}
	values := make([]float64, count)
	if name == "weight" {
		for i := range values {
			values[i] = 1
		}
	}
	return values
}

// scale returns what the batch norm multiplies each of count channels by.
func (n *norm) scale(read Weights, count int64) []float64 {
	scale := make([]float64, count)
	weight, variance := n.values(read, "weight", count), n.values(read, "running_var", count)
	for i := range scale {
		scale[i] = weight[i] / math.Sqrt(variance[i]+normEps)
	}
	return scale
}

// folded returns the weight of a convolution with that number of output channels, multiplied by the batch
// norm's scale.
func (n *norm) folded(read Weights, weight []float64, channels int64) []float64 {
	out, scale := make([]float64, len(weight)), n.scale(read, channels)
	each := len(weight) / len(scale)
	for i, w := range weight {
		out[i] = w * scale[i/each]
	}
	return out
}

// shift returns what the folded batch norm adds to each channel: the convolution's bias.
func (n *norm) shift(read Weights, channels int64) []float64 {
	shift, mean, bias := n.scale(read, channels), n.values(read, "running_mean", channels), n.values(read, "bias", channels)
	for i, s := range shift {
		shift[i] = bias[i] - mean[i]*s
	}
	return shift
}
