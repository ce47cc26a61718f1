package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"hdas/models/genotype"
)

// mixture is how parameters of a DAG evolved: small plots with a common legend.
type mixture struct {
	Title  string
	Legend []entry
	Plots  []small
}

// small is a small plot.
type small struct {
	Title, Note string
	SVG         template.HTML
}

// nothing is the operation without an output, which is grey.
const nothing = "none"

// state returns the name of a state of a DAG, as drawings have it.
func state(s int) string {
	if s < genotype.Inputs {
		return fmt.Sprintf("c(k−%d)", genotype.Inputs-s)
	}
	return fmt.Sprint(s - genotype.Inputs)
}

// titleOf returns the title of a DAG.
func titleOf(d Search) string {
	switch {
	case d.Stages == nil:
		return "cell " + d.Name
	case len(d.Stages) > 1:
		return "all stages"
	}
	return fmt.Sprintf("stage %d", d.Stages[0]+1)
}

// mixtures returns the evolution of the parameters of the DAGs: of the softmax of the alphas of each edge, of the
// betas, and of the weights of the edges of each node.
func mixtures(h history, dags []Search) (list []mixture, err error) {
	// add adds the plot of n numbers of a parameter, which has that size; of says what they are.
	add := func(m *mixture, title, parameter string, from, n, size int, of []entry) {
		epochs, shares := h.softmax(parameter, from, n, size)
		if n == 0 || len(epochs) == 0 || err != nil {
			return
		}
		s := small{Title: title}
		if s.SVG, err = areas(epochs, shares, of); err != nil {
			return
		}
		best, now := 0, shares[len(shares)-1]
		for k, v := range now {
			if v > now[best] {
				best = k
			}
		}
		s.Note = fmt.Sprintf("%s %.0f\u00a0%%", of[best].Name, 100*now[best])
		m.Plots = append(m.Plots, s)
	}
	operations := map[string]int{nothing: colours - 1} // their colours, the same for all DAGs
	for _, d := range dags {
		alphas, betas, edges := mixture{Title: titleOf(d) + ": operations of each edge"}, mixture{Title: titleOf(d) + ": number of cells (beta)"}, mixture{Title: titleOf(d) + ": edges of each node"}
		for _, op := range d.Ops {
			if _, known := operations[op]; !known {
				operations[op] = (len(operations) - 1) % (colours - 1)
			}
			alphas.Legend = append(alphas.Legend, entry{op, operations[op]})
		}
		row := 0
		for i, n := range d.Nodes {
			var from []entry
			for k, e := range n.In {
				from = append(from, entry{"from " + state(e.From), e.From % colours})
				if !slices.Contains(edges.Legend, from[k]) {
					edges.Legend = append(edges.Legend, from[k])
				}
				add(&alphas, state(e.From)+" → "+state(i+genotype.Inputs), "alpha."+d.Name, (row+k)*len(d.Ops), len(d.Ops), d.Rows()*len(d.Ops), alphas.Legend)
			}
			add(&edges, "→ "+state(i+genotype.Inputs), "edge."+d.Name, row, len(n.In), d.Rows(), from)
			row += len(n.In)
		}
		if n := h.length("beta." + d.Name); n > 0 && n <= len(d.Nodes) {
			for k := range n {
				betas.Legend = append(betas.Legend, entry{fmt.Sprintf("%d cells", len(d.Nodes)-n+1+k), k % colours})
			}
			add(&betas, "", "beta."+d.Name, 0, n, n, betas.Legend)
		}
		for _, m := range []mixture{betas, alphas, edges} {
			if len(m.Plots) > 0 {
				list = append(list, m)
			}
		}
	}
	return list, err
}

// length returns the length of an architecture parameter in the last record, 0 if that has none.
func (h history) length(parameter string) int {
	if len(h.alphas) == 0 {
		return 0
	}
	return len(h.alphas[len(h.alphas)-1][parameter])
}

// softmax returns, for each epoch whose record has the parameter in that size, the softmax of n of its numbers.
func (h history) softmax(parameter string, from, n, size int) (epochs []float64, shares [][]float64) {
	for i, alpha := range h.alphas {
		v := alpha[parameter]
		if len(v) != size {
			continue
		}
		epochs, shares = append(epochs, float64(h.epochs[i])), append(shares, softmax(v[from:from+n]))
	}
	return epochs, shares
}

func softmax(v []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, x := range v {
		top = max(top, x)
	}
	p := make([]float64, len(v))
	for i, x := range v {
		p[i] = math.Exp(x - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
