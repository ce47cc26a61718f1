package golden

import (
	"testing"

	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/nn"
)

// Forward returns the output of a module for its inputs.
type Forward func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor

// Piece checks a module against the reference results with the given name in f (see data/pieces/make.py):
// the output, the gradients with respect to inputs and parameters, the running statistics after the pass,
// and the output in evaluation. make builds the module in a float64 store, into which Piece then loads the
// parameters in f, if there are any. Call it inside torch.Do.
func Piece(t testing.TB, f File, name string, inputs []string, tolerance float64, make func(s *nn.Store) Forward) {
	t.Helper()
	store := nn.NewStore(torchtest.Options(torch.Float64))
	defer store.Free()
	forward := make(store)
	if state := f.Under(name+"/state.", nil); len(state) > 0 {
		if err := store.Load(state); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
	check := func(what string, got, want torch.Tensor) {
		t.Helper()
		Check(t, name+", "+what, got, want, tolerance)
	}
	names, leaves := inputs, []torch.Tensor{}
	for _, in := range inputs {
		leaves = append(leaves, f.Get(t, name+"/"+in).Clone().SetRequiresGrad(true))
	}
	in := leaves
	for _, w := range store.Weights() {
		names, leaves = append(names[:len(names):len(names)], w.Name), append(leaves[:len(leaves):len(leaves)], w.Tensor)
	}
	y := forward(&nn.Ctx{Train: true}, in...)
	check("output", y, f.Get(t, name+"/output"))
	wanted := f.Under(name+"/grad.", nil)
	if y.RequiresGrad() {
		grads := torch.Grad(y.Mul(f.Get(t, name+"/cotangent")).Sum(), leaves)
		for i, leaf := range names {
			got, want := grads[i], f.Get(t, name+"/grad."+leaf)
			if got.Defined() && len(got.Shape()) > 0 && got.Size(0) > want.Size(0) {
				got = got.Narrow(0, 0, want.Size(0)) // the file has only the first rows
			}
			check("gradient in "+leaf, got, want)
			delete(wanted, leaf)
		}
	}
	for leaf := range wanted {
		t.Errorf("%s: there is no gradient in %s", name, leaf)
	}
	for what, want := range f.Under(name+"/after.", nil) {
		p, _ := store.Get(what)
		check(what+" after", p.Tensor, want)
	}
	torch.NoGrad(func() { check("output in evaluation", forward(&nn.Ctx{}, in...), f.Get(t, name+"/eval")) })
}

// Cases returns the set of the parts of the names before the first slash: the names for Piece.
func (f File) Cases() map[string]bool {
	cases := map[string]bool{}
	for name := range f.tensors {
		for i, c := range name {
			if c == '/' {
				cases[name[:i]] = true
				break
			}
		}
	}
	return cases
}
