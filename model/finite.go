package model

import "hdas/torch"

// Finite reports whether no element of a floating-point tensor is NaN or infinite. It runs inside torch.Do.
func Finite(t torch.Tensor) (finite bool) {
	torch.Within(func(*torch.Scope) { finite = int64(t.IsFinite().Sum().Item()) == t.Numel() })
	return finite
}
