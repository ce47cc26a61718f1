package parity

import (
	"testing"

	"hdas/internal/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }
