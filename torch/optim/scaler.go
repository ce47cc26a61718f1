package optim

import (
	"math"

	"hdas/torch"
	"hdas/torch/nn"
)

// Scaler multiplies losses by a scale so that float16 gradients do not underflow, and adapts the scale
// to the gradients (torch.cuda.amp.GradScaler). A nil Scaler leaves losses and gradients as they are.
type Scaler struct {
	scale float64
	good  float64 // steps since the scale last changed
}

// PyTorch's values, except the smallest scale.
const (
	firstScale   = 65536
	growth       = 2
	growthSteps  = 2000
	backoff      = 0.5
	leastOfScale = 1.0 / (1 << 24)
)

// NewScaler returns a Scaler with PyTorch's initial scale, 65536.
func NewScaler() *Scaler { return &Scaler{scale: firstScale} }

// Grad returns torch.Grad of the scaled loss: the gradients are multiplied by the scale.
func (s *Scaler) Grad(loss torch.Tensor, inputs []torch.Tensor) []torch.Tensor {
	if s != nil {
		loss = loss.MulScalar(s.scale)
	}
	return torch.Grad(loss, inputs)
}

// Unscale divides gradients from Grad by the scale, in place, and reports whether their norm is finite.
// If it is not, the gradients are left as they are and the caller must skip the step. Unscale also
// adapts the scale: it is halved after a gradient that is not finite, and doubled after 2000
// consecutive finite ones. It waits for one number from the device.
func (s *Scaler) Unscale(grads []torch.Tensor) bool {
	if s == nil {
		return true
	}
	// The norm first: dividing could bring an overflow back into range.
	if n := torch.Norm(grads).Item(); math.IsNaN(n) || math.IsInf(n, 0) {
		s.scale, s.good = max(s.scale*backoff, leastOfScale), 0
		return false
	}
	torch.ScaleAll(grads, 1/s.scale)
	if s.good++; s.good == growthSteps {
		s.scale, s.good = s.scale*growth, 0
	}
	return true
}

// State returns the scale and the number of steps since its last change as one tensor with that name,
// for a checkpoint; nil for a nil Scaler. The innermost scope owns the tensor.
func (s *Scaler) State(name string) []nn.Param {
	if s == nil {
		return nil
	}
	return []nn.Param{{Name: name, Tensor: torch.FromFloat64([]float64{s.scale, s.good}, 2)}}
}

// Load restores a State. If state has no tensor of that name, the scale does not change.
func (s *Scaler) Load(name string, state map[string]torch.Tensor) {
	if t, ok := state[name]; ok && s != nil {
		v := t.Float64s()
		s.scale, s.good = v[0], v[1]
	}
}
