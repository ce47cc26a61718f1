package optim

import (
	"math"

	"hdas/torch"
	"hdas/torch/nn"
)

// Scaler multiplies losses, so that gradients in float16 do not vanish, and follows what they bear
// (torch.cuda.amp.GradScaler). A nil Scaler does nothing.
type Scaler struct {
	scale float64
	good  float64 // steps since the scale last changed
}

// As in PyTorch.
const (
	firstScale   = 65536
	growth       = 2
	growthSteps  = 2000
	backoff      = 0.5
	leastOfScale = 1.0 / (1 << 24)
)

// NewScaler begins with PyTorch's scale, 65536.
func NewScaler() *Scaler { return &Scaler{scale: firstScale} }

// Grad is torch.Grad of the scaled loss.
func (s *Scaler) Grad(loss torch.Tensor, inputs []torch.Tensor) []torch.Tensor {
	if s != nil {
		loss = loss.MulScalar(s.scale)
	}
	return torch.Grad(loss, inputs)
}

// Unscale brings what Grad returned to the loss' own size, in place, and reports whether the gradient
// is finite: where it is not, no step is to be taken. The scale follows, half of it where it was too
// much and twice of it after 2000 good steps. It reads one number back from the device.
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

// State is what has to be saved, under that name.
func (s *Scaler) State(name string) []nn.Param {
	if s == nil {
		return nil
	}
	return []nn.Param{{Name: name, Tensor: torch.FromFloat64([]float64{s.scale, s.good}, 2)}}
}

// Load puts a State back; without one of that name the scale stays as it is.
func (s *Scaler) Load(name string, state map[string]torch.Tensor) {
	if t, ok := state[name]; ok && s != nil {
		v := t.Float64s()
		s.scale, s.good = v[0], v[1]
	}
}
