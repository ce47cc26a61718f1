package nn_test

import (
	"testing"

	"hdas/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var (
	do          = torchtest.Do
	eachOptions = torchtest.EachOptions
	panics      = torchtest.Panics
)
