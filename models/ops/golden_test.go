package ops_test

import (
	"fmt"
	"testing"

	"hdas/internal/golden"
	"hdas/models/ops"
	"hdas/torch"
	"hdas/torch/nn"
)

// Every primitive at both strides: as in a mixture, with scale and shift, and without the batch
// norm behind a pooling; those that are rounds, by every path.
func TestGoldenPrimitives(t *testing.T) {
	for path := torch.Kernels; path <= torch.Modules; path++ {
		err := torch.Do(func(*torch.Scope) {
			torch.SetPath(path)
			defer torch.SetPath(torch.Kernels)
			f := golden.Read(t, "pieces/ops.safetensors")
			unchecked := f.Cases()
			for _, name := range ops.Names() {
				for _, stride := range []int64{1, 2} {
					for kind, spec := range map[string]ops.Spec{
						"searched": {C: 2, Stride: stride, PoolNorm: true},
						"affine":   {C: 2, Stride: stride, Affine: true, PoolNorm: true},
						"bare":     {C: 2, Stride: stride, Affine: true},
					} {
						what := fmt.Sprintf("%s.%d.%s", name, stride, kind)
						if p, _ := ops.Get(name); kind == "bare" && !p.Pool {
							continue
						}
						delete(unchecked, what)
						golden.Piece(t, f, what, []string{"input"}, 1e-10, func(s *nn.Store) golden.Forward {
							l, err := ops.New(name, spec)
							if err != nil {
								t.Fatal(err)
							}
							m := l.New(s.Root())
							return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor {
								y, ok := nn.Sum(c, m, in[0])
								if ok == (path == torch.Modules || name == "none" || name == "conv_7x1_1x7") {
									t.Errorf("%s: as a Dag by %v: %v", what, path, ok)
								}
								if !ok {
									y = m.Forward(c, in[0])
								}
								return y
							}
						})
					}
				}
			}
			if len(unchecked) > 0 {
				t.Errorf("not checked: %v", unchecked)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
