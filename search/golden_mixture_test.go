package search

import (
	"fmt"
	"testing"

	"hdas/configs"
	"hdas/internal/golden"
	"hdas/models"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// A mixture of a cell's candidates and one of a stage's, at both strides: output, gradients in
// alpha, weights and input, running statistics; by every path.
func TestGoldenMixtures(t *testing.T) {
	for name, candidates := range map[string][]string{"cell": ops.Cell, "stage": ops.Stage} {
		for _, stride := range []int64{1, 2} {
			for path := torch.Kernels; path <= torch.Modules; path++ {
				within(t, func() {
					torch.SetPath(path)
					defer torch.SetPath(torch.Kernels)
					a := NewArch(double, space.Cells([]string{"normal"}, 1, candidates), configs.DefaultSearchSection(configs.CellSearch))
					defer a.Store.Free()
					f := golden.Read(t, "pieces/mixtures.safetensors")
					golden.Piece(t, f, fmt.Sprintf("%s.%d", name, stride), []string{"input", "alpha"}, 1e-10, func(s *nn.Store) golden.Forward {
						edge := models.Edge{Site: models.Site{DAG: "normal", Row: 1}, Spec: ops.Spec{C: 2, Stride: stride, PoolNorm: true}, Ops: candidates}
						m, err := a.Edge(s.Root(), edge)
						if err != nil {
							t.Fatal(err)
						}
						return func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor {
							a.alpha = map[string]torch.Tensor{"normal": in[1].Softmax(-1)}
							return m.Forward(c, in[0])
						}
					})
				})
			}
		}
	}
}
