package optim

import (
	"hdas/torch"
	"hdas/torch/nn"
)

// Scaler multiplies losses by a scale so that float16 gradients do not underflow, and adapts the scale
// to the gradients (torch.amp.GradScaler). The scale stays on the device of the losses, and no step reads it.
// A nil Scaler leaves losses and gradients as they are. A Scaler owns a tensor, which Free frees.
type Scaler struct {
	state torch.Tensor // Float64 (2): the scale, and the steps since it last changed; undefined before the first loss
	begin [2]float64   // the state before that
}

// firstScale and the options of the scale are PyTorch's values, except the smallest scale.
const firstScale = 65536

var scaleOptions = torch.ScaleOptions{Growth: 2, GrowthSteps: 2000, Backoff: 0.5, Least: 1.0 / (1 << 24)}

// NewScaler returns a Scaler with PyTorch's initial scale, 65536. The caller must call Free.
func NewScaler() *Scaler { return &Scaler{begin: [2]float64{firstScale, 0}} }

// on returns the state on device d.
func (s *Scaler) on(d torch.Device) torch.Tensor {
	if !s.state.Defined() {
		s.state = torch.FromFloat64(s.begin[:], 2).ToDevice(d).Clone().Keep()
	}
	return s.state
}

// Grad returns torch.Grad of the scaled loss: the gradients are multiplied by the scale.
func (s *Scaler) Grad(loss torch.Tensor, inputs []torch.Tensor) []torch.Tensor {
	if s != nil {
		loss = loss.Mul(s.on(loss.Device()).Select(0, 0).To(loss.DType()))
	}
	return torch.Grad(loss, inputs)
}

// Unscale divides gradients from Grad by the scale, in place. finite, a scalar of Bool, is whether their norm
// was finite; if it was not, the step must have no effect. It is undefined without a Scaler, and if no gradient
// is defined. Unscale also adapts the scale: it is halved after a gradient that is not finite, and doubled
// after 2000 consecutive finite ones. It does not wait for the device.
func (s *Scaler) Unscale(grads []torch.Tensor) (finite torch.Tensor) {
	if s == nil {
		return finite
	}
	for _, g := range grads {
		if g.Defined() {
			return torch.Unscale(grads, s.on(g.Device()), scaleOptions)
		}
	}
	return finite
}

// State returns the scale and the number of steps since its last change as one tensor with that name,
// for a checkpoint; nil for a nil Scaler. The Scaler or the innermost scope owns the tensor.
func (s *Scaler) State(name string) []nn.Param {
	switch {
	case s == nil:
		return nil
	case s.state.Defined():
		return []nn.Param{{Name: name, Tensor: s.state}}
	}
	return []nn.Param{{Name: name, Tensor: torch.FromFloat64(s.begin[:], 2)}}
}

// Load restores a State. If state has no tensor of that name, the scale does not change.
func (s *Scaler) Load(name string, state map[string]torch.Tensor) {
	if t, ok := state[name]; ok && s != nil {
		v := t.Float64s()
		s.begin = [2]float64{v[0], v[1]}
		s.Free()
	}
}

// Free frees the tensor of the scale. The Scaler begins again with the scale that it was made or loaded with.
func (s *Scaler) Free() {
	if s != nil {
		s.state.Free()
		s.state = torch.Tensor{}
	}
}
