package parity

import (
	"testing"

	"hdas/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }
