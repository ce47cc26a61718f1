package parity

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The goroutine that does all tensor work lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("hdas/torch.serve"))
}
