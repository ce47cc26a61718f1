package search

import (
	"testing"
	"time"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// The time of a pass is that of all passes divided by their number, whatever that is, and only the last of them is
// waited for: the relative costs of two stages do not depend on how many passes are enqueued together.
func TestTimeOfAPass(t *testing.T) {
	within(t, func() {
		for _, passes := range []int{1, 9, 50} {
			var clock time.Time
			now := func() time.Time { return clock }
			cost := func(seconds int) float64 {
				ran := 0
				got := perPass(now, passes, func() torch.Tensor {
					ran++
					clock = clock.Add(time.Duration(seconds) * time.Second)
					return torch.Ones(torchtest.Options(torch.Float32))
				})
				if ran != passes {
					t.Errorf("%d passes, not %d", ran, passes)
				}
				return got
			}
			if a, b := cost(3), cost(7); a != 3 || b != 7 {
				t.Errorf("%d passes: %v and %v seconds, not 3 and 7", passes, a, b)
			}
		}
	})
}
