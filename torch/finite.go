package torch

// AllFinite reports whether no element of t is NaN or infinite.
func (t Tensor) AllFinite() (finite bool) {
	Within(func(*Scope) { finite = int64(t.IsFinite().To(Float64).Sum().Item()) == t.Numel() })
	return finite
}
