package nn_test

import (
	"fmt"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/torch"
	"hdas/torch/nn"
)

// Batch norm with and without affine, the affine map, cross-entropy with smoothed labels, and the
// samples that drop path keeps by a seed: PyTorch's.
func TestGoldenLayers(t *testing.T) {
	do(t, func(*torch.Scope) {
		f := golden.Read(t, "pieces/layers.safetensors")
		for name, make := range map[string]func(p *nn.Path) nn.Module{
			"norm.affine": func(p *nn.Path) nn.Module { return batchNorm(p, 3, true) },
			"norm.plain":  func(p *nn.Path) nn.Module { return batchNorm(p, 3, false) },
			"linear": func(p *nn.Path) nn.Module {
				return nn.Linear{Weight: p.Weight("weight", nn.FanIn(12), 5, 12), Bias: p.Weight("bias", nn.FanIn(12), 5)}
			},
		} {
			golden.Piece(t, f, name, []string{"input"}, 1e-11, func(s *nn.Store) golden.Forward {
				m := make(s.Root())
				return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor { return m.Forward(c, in[0]) }
			})
		}
		for _, smoothing := range []float64{0, 0.1, 0.5} {
			name := fmt.Sprintf("loss.%g", smoothing)
			logits := f.Get(t, "logits").Clone().SetRequiresGrad(true)
			loss := torch.CrossEntropy(logits, f.Get(t, "labels"), smoothing)
			golden.Check(t, name, loss, f.Get(t, name), 1e-12)
			golden.Check(t, "gradient of "+name, torch.Grad(loss, []torch.Tensor{logits})[0], f.Get(t, name+"/grad"), 1e-11)
		}
		torch.Seed(5)
		x := f.Get(t, "path/input")
		kept := x.Mul(nn.DropPathMasks(&nn.Ctx{Train: true, DropPath: 0.3}, 1, x.Size(0), torch.Options{DType: x.DType(), Device: x.Device()})[0])
		if strings.HasPrefix(torch.Version(), "2.1.") { // PyTorch 2.1 made the numbers; 2.11 draws others from the same seed
			golden.Check(t, "drop path", kept, f.Get(t, "path/output"), 1e-12)
		}
	})
}
