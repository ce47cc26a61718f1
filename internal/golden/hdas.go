package golden

import (
	"strings"

	"hdas/weights"
)

// HDAS returns the function that translates tensor names of the H-DAS authors' program into this program's
// (weights.FromHDAS). The names of the state dict are those in f with the prefix "state.".
func (f File) HDAS() func(name string) string {
	var all []string
	for name := range f.tensors {
		if rest, ok := strings.CutPrefix(name, "state."); ok {
			all = append(all, rest)
		}
	}
	return weights.FromHDAS(all)
}

// HDASAlpha returns alphas of the H-DAS authors' program, one row of four for each edge, with their columns
// in the order of ops.Stage.
func HDASAlpha(rows []float64) []float64 {
	out := make([]float64, len(rows))
	for i, v := range rows {
		out[i-i%4+weights.HDASColumn[i%4]] = v
	}
	return out
}
