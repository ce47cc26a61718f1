package golden

import (
	"testing"

	"hdas/torch"
	"hdas/torch/nn"
)

// Forward runs a piece on its inputs.
type Forward func(c *nn.Ctx, in ...torch.Tensor) torch.Tensor

// Piece checks the case of that name in a file of pieces (see data/pieces/make.py): output,
// gradients in inputs and weights, running statistics after that, and the output in evaluation.
// make makes the piece in a store of float64, whose values the file then replaces if it has any. It
// runs inside torch.Do.
func Piece(t testing.TB, f File, name string, inputs []string, tolerance float64, make func(s *nn.Store) Forward) {
	t.Helper()
	store := nn.NewStore(torch.Options{DType: torch.Float64})
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
				got = got.Narrow(0, 0, want.Size(0)) // the file has the first rows alone
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

// Cases are the names before the slash, unsorted.
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
