package golden

import (
	"strings"

	"hdas/weights"
)

// HDAS turns the names of a file that has the H-DAS authors' into this program's; "state." stands
// before those that tell what each is.
func (f File) HDAS() func(name string) string {
	var all []string
	for name := range f.tensors {
		if rest, ok := strings.CutPrefix(name, "state."); ok {
			all = append(all, rest)
		}
	}
	return weights.FromHDAS(all)
}

// HDASAlpha turns one of the authors' alphas, a row for every edge of a cell, into columns in the
// order of ops.Stage.
func HDASAlpha(rows []float64) []float64 {
	out := make([]float64, len(rows))
	for i, v := range rows {
		out[i-i%4+weights.HDASColumn[i%4]] = v
	}
	return out
}
