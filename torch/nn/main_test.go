package nn_test

import (
	"testing"

	"hdas/internal/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var (
	do          = torchtest.Do
	eachOptions = torchtest.EachOptions
	panics      = torchtest.Panics
)
