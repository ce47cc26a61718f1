package torch_test

import (
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Inside, convolutions and products come out in bfloat16 and losses in float32; afterwards, also
// after a panic, everything is as before.
func TestAutocast(t *testing.T) {
	do(t, func(*torch.Scope) {
		o := torchtest.Options(torch.Float32)
		x, w, v := torch.Randn(o, 2, 3, 5, 5), torch.Randn(o, 4, 3, 3, 3).SetRequiresGrad(true), torch.Randn(o, 7, 36)
		types := func() [3]torch.DType {
			conv := torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{})
			product := torch.Linear(conv.Reshape(2, -1), v, torch.Tensor{})
			loss := torch.CrossEntropy(product, torchtest.Int64s([]int64{1, 2}, 2), 0)
			return [3]torch.DType{conv.DType(), product.DType(), loss.DType()}
		}
		all := [3]torch.DType{torch.Float32, torch.Float32, torch.Float32}
		within := [3]torch.DType{torch.BFloat16, torch.BFloat16, torch.Float32}
		torch.Autocast(torchtest.Device(), torch.BFloat16, func() {
			if got := types(); got != within {
				t.Errorf("types %v", got)
			}
			torch.Autocast(torchtest.Device(), torch.Float32, func() {}) // does nothing
			torch.Autocast(torchtest.Device(), torch.BFloat16, func() {})
			if got := types(); got != within {
				t.Errorf("types %v behind an inner one", got)
			}
		})
		if got := types(); got != all {
			t.Errorf("types %v afterwards", got)
		}
		func() {
			defer func() { recover() }()
			torch.Autocast(torchtest.Device(), torch.BFloat16, func() { x.Reshape(7) })
		}()
		if got := types(); got != all {
			t.Errorf("types %v after a panic", got)
		}
		// The gradient of a float32 weight is float32.
		var loss torch.Tensor
		torch.Autocast(torchtest.Device(), torch.BFloat16, func() { loss = torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{}).To(torch.Float32).Sum() })
		low := torch.Grad(loss, []torch.Tensor{w})[0]
		full := torch.Grad(torch.Conv2d(x, w, torch.Tensor{}, torch.ConvOptions{}).Sum(), []torch.Tensor{w})[0]
		if low.DType() != torch.Float32 {
			t.Errorf("gradient %v", low.DType())
		}
		equal(t, "gradient", read(low), read(full), 0.05)
	})
}
