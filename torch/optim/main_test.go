package optim_test

import (
	"testing"

	"hdas/internal/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var (
	do         = torchtest.Do
	eachDevice = torchtest.EachDevice
)
