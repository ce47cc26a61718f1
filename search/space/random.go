package space

import (
	"math/rand/v2"

	"hdas/models/genotype"
)

// Random draws a genotype uniformly: for each node two different edges, on each an operation that
// is not null, and, where the distribution of cells is searched, each stage's number of cells.
func (s Space) Random(name string, r *rand.Rand, null func(op string) bool) (genotype.Genotype, error) {
	w := Weights{Alpha: map[string][][]float64{}, Beta: map[string][]float64{}}
	for _, d := range s.DAGs() {
		// Independent weights make every pair of edges and every operation equally likely, once an
		// edge's weight is drawn apart from its operation.
		for range d.Rows() {
			row := make([]float64, len(d.Ops))
			var choices []int
			for k, op := range d.Ops {
				if !null(op) {
					choices = append(choices, k)
				}
			}
			if len(choices) > 0 {
				row[choices[r.IntN(len(choices))]] = 1 + r.Float64()
			}
			w.Alpha[d.Name] = append(w.Alpha[d.Name], row)
		}
		if s.MinCells > 0 && d.Stage >= 0 {
			beta := make([]float64, s.Pairs(len(d.Nodes)))
			beta[r.IntN(len(beta))] = 1
			w.Beta[d.Name] = beta
		}
	}
	g, err := s.Derive(name, w, null)
	g.Source = "drawn at random"
	return g, err
}
