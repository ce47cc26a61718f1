package lab

import (
	"fmt"
	"math/big"

	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
)

// Shape describes a search space by its numbers alone.
type Shape struct {
	SearchCells           bool
	Cells, Nodes, CellOps int // number of searched cells, of nodes in a cell, of candidate operations of an edge
	SearchStages          bool
	Lengths               []int // number of cells of each stage; if it is searched, the largest number
	MinCells              int   // smallest number of cells of a stage; 0: the number is not searched
	Window, StageOps      int   // number of preceding states that a cell may read, of candidate operations of an edge
	Shared                bool  // all stages are one DAG
}

// PaperShape holds the numbers of the paper. The caller sets SearchCells and SearchStages.
var PaperShape = Shape{Cells: 2, Nodes: 4, CellOps: 8, Lengths: []int{6, 6, 6}, Window: 3, StageOps: 4}

// Count returns the number of genotypes in the space.
func (s Shape) Count() (*big.Int, error) {
	sp, err := s.space()
	if err != nil {
		return nil, err
	}
	return sp.Size(ops.IsNull), nil
}

func (s Shape) space() (space.Space, error) {
	const most = 100
	if s.Cells < 1 || s.Nodes < 1 || s.Nodes > most || s.Cells > most {
		return space.Space{}, fmt.Errorf("cells %d and nodes %d are not in 1..%d", s.Cells, s.Nodes, most)
	}
	if s.CellOps < 2 || s.StageOps < 2 || s.CellOps > most || s.StageOps > most {
		return space.Space{}, fmt.Errorf("%d and %d primitives are not in 2..%d: there must be at least one beside none", s.CellOps, s.StageOps, most)
	}
	sp := space.Fixed(genotype.Genotype{Version: 1, Name: "fixed", Cells: map[string]genotype.DAG{"normal": {}, "reduce": {}}})
	if s.SearchCells {
		// Only the number of cells matters. Stages refer to the names of the first two.
		names := []string{"normal", "reduce"}[:min(2, s.Cells)]
		for i := len(names); i < s.Cells; i++ {
			names = append(names, fmt.Sprintf("cell%d", i))
		}
		sp = space.Cells(names, s.Nodes, counted(s.CellOps))
		if s.Cells == 1 {
			sp.Dense.Cells["reduce"] = genotype.DAG{}
		}
	}
	if !s.SearchStages {
		return sp, nil
	}
	return sp.Under(s.Lengths, s.Window, genotype.Candidates{Stage: counted(s.StageOps), MinCells: s.MinCells, Shared: s.Shared})
}

// counted returns the names of n operations, one of which is null.
func counted(n int) []string {
	list := []string{"none"}
	for i := 1; i < n; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// SpaceCount is the number of genotypes of a space.
type SpaceCount struct {
	Name  string   `json:"name"`
	Size  *big.Int `json:"size"`
	Paper string   `json:"paper,omitempty"` // the number that the paper reports
}

// PaperSpaces returns the spaces whose sizes the paper reports.
func PaperSpaces() (rows []SpaceCount, err error) {
	for _, r := range []struct {
		name, paper   string
		cells, stages bool
		change        func(*Shape)
	}{
		{"DARTS: 2 cells", "1.0767e18", true, false, func(*Shape) {}},
		{"Hc-DAS: 5 cells", "1.2031e45", true, false, func(s *Shape) { s.Cells = 5 }},
		{"a stage of 6 cells, m = 7", "3.0133e10", false, true, func(s *Shape) { s.Lengths, s.Window = []int{6}, 7 }},
		{"Hs-DAS: 3 stages of 6 cells, m = 3", "2.1537e24", false, true, func(*Shape) {}},
		{"distribution: 3 stages of 4 to 8 cells, m = 3", "9.3441e32", false, true, func(s *Shape) { s.Lengths, s.MinCells = []int{8, 8, 8}, 4 }},
		{"joint: 2 cells, 3 stages of 6", "2.3190e42", true, true, func(*Shape) {}},
		{"joint: 2 cells, 3 stages of 4 to 8", "1.0061e51", true, true, func(s *Shape) { s.Lengths, s.MinCells = []int{8, 8, 8}, 4 }},
	} {
		s := PaperShape
		s.SearchCells, s.SearchStages = r.cells, r.stages
		r.change(&s)
		n, err := s.Count()
		if err != nil {
			return nil, err
		}
		rows = append(rows, SpaceCount{r.name, n, r.paper})
	}
	return rows, nil
}
