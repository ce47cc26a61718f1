package optim_test

import (
	"testing"

	"hdas/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var (
	do         = torchtest.Do
	eachDevice = torchtest.EachDevice
)
