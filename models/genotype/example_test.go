package genotype_test

import (
	"fmt"
	"log"

	"hdas/models/genotype"
)

// The stages of the paper's Figure 8 over the cells of DARTS, and how their cells are connected.
func Example() {
	g, err := genotype.Load("DARTS_V1+Hs_DAS_CIFAR_stages")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.CellNames())
	for i, stage := range g.Stages {
		t := stage.Topology()
		fmt.Printf("stage %d: %d cells, %d dead, longest path %d, mean path %.3f\n", i+1, t.Cells, t.Dead, t.Longest, t.Mean)
	}
	// Output:
	// [normal reduce]
	// stage 1: 6 cells, 0 dead, longest path 5, mean path 3.353
	// stage 2: 6 cells, 0 dead, longest path 4, mean path 3.067
	// stage 3: 6 cells, 0 dead, longest path 4, mean path 3.278
}
