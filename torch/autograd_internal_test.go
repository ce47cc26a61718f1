package torch

import (
	"testing"

	lib "github.com/sugarme/gotch/libtch"
)

// Grad stores nothing in any leaf: neither in its inputs nor in others that the loss depends on.
func TestGradStoresNothing(t *testing.T) {
	err := Do(func(*Scope) {
		asked, other := Ones(Options{}, 2).SetRequiresGrad(true), Ones(Options{}, 2).SetRequiresGrad(true)
		if g := Grad(asked.Mul(other).Sum(), []Tensor{asked})[0].Sum().Item(); g != 2 {
			t.Errorf("gradient %v, not 2", g)
		}
		for name, leaf := range map[string]Tensor{"input": asked, "other": other} {
			stored := call("grad", func(out *lib.Ctensor) { lib.AtgGrad(out, leaf.c()) })
			if lib.AtDefined(stored.c()) {
				t.Errorf("a gradient is stored in the %s", name)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
