package plan_test

import (
	"strings"
	"testing"

	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
)

// Every parameter has a depth: 0 in the stem, growing from cell to cell, the largest in the heads.
func TestDepths(t *testing.T) {
	for name, cells := range map[string]int{"DARTS_V2": 6, "DARTS_V1+Hs_DAS_CIFAR_stages": 20} {
		g, err := genotype.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := plan.New(g, plan.Macro{Preset: plan.CIFAR, Channels: 4, Layers: 6, Classes: 3, Auxiliary: true, PoolNorm: "auto", Wiring: plan.Summed}, layer.Shape{C: 3, H: 32, W: 32}, genotype.Candidates{})
		if err != nil {
			t.Fatal(err)
		}
		depths, head := n.Depths()
		if head != cells+1 {
			t.Errorf("%s: the head is at %d", name, head)
		}
		last := 0
		for _, p := range n.Params() {
			depth, known := depths[p.Name]
			isHead := strings.HasPrefix(p.Name, "classifier.") || strings.HasPrefix(p.Name, "auxiliary_head.")
			if !known || depth < last || isHead != (depth == head) || strings.HasPrefix(p.Name, "stem") != (depth == 0) {
				t.Errorf("%s: %s has depth %d after %d", name, p.Name, depth, last)
			}
			last = depth
		}
		if last != head {
			t.Errorf("%s: the last depth is %d", name, last)
		}
	}
}
