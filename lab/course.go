package lab

import (
	"fmt"
	"strings"

	"hdas/models/genotype"
	"hdas/recipe"
	"hdas/report"
)

// courses returns how the stages change over the epochs of the searches that have ended: the longest path and the dead cells of
// each row, means over its stages and searches, and of rows that find the number of cells this for each stage.
func courses(g recipe.Graph) (list []report.Course, err error) {
	for _, row := range g.Rows {
		var searches [][]genotype.Genotype // by epoch
		for _, one := range row.List {
			if one.Search == "" {
				continue
			}
			n := g.Node(one.Search)
			if n.BestOf > 0 || !nodeEnded(n) {
				continue // of several searches the epochs are not those of one network
			}
			epochs, err := foundIn(n.Folder)
			if err != nil {
				return nil, fmt.Errorf("row %q: %w", row.Name, err)
			}
			if len(epochs[0].Stages) > 0 {
				searches = append(searches, epochs)
			}
		}
		if len(searches) == 0 {
			continue
		}
		add := func(plot, name string, of func(genotype.Genotype) float64) {
			list = append(list, report.Course{Plot: plot, Name: name, Values: means(searches, of)})
		}
		add("Longest path through a stage, in cells", row.Name, func(n genotype.Genotype) float64 { return overStages(topologies(n), longest) })
		add("Dead cells of a stage", row.Name, func(n genotype.Genotype) float64 { return overStages(topologies(n), dead) })
		if g.Node(row.List[0].Search).Search.Search.LeastCells() > 0 {
			for i := range searches[0][0].Stages {
				add("Cells of each stage, "+row.Name, fmt.Sprintf("stage %d", i+1), func(n genotype.Genotype) float64 { return float64(n.Lengths()[i]) })
			}
		}
	}
	return list, nil
}

// foundIn returns the genotype of each epoch of a search, at least one.
func foundIn(folder string) (list []genotype.Genotype, err error) {
	type record struct {
		Epoch    int
		Genotype string
	}
	err = eachEpoch(folder, func(e record) {
		found, fault := genotype.Decode(strings.NewReader(e.Genotype))
		if fault != nil && err == nil {
			err = fmt.Errorf("%s: the genotype of epoch %d: %w", folder, e.Epoch, fault)
		}
		list = append(list, found)
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s has no epochs", folder)
	}
	return list, err
}

// means returns the mean of a number of the genotypes of each epoch, over the searches that have that epoch.
func means(searches [][]genotype.Genotype, of func(genotype.Genotype) float64) (list []float64) {
	for epoch := 0; ; epoch++ {
		var values []float64
		for _, epochs := range searches {
			if epoch < len(epochs) {
				values = append(values, of(epochs[epoch]))
			}
		}
		if len(values) == 0 {
			return list
		}
		list = append(list, spreadOf(values).Mean)
	}
}

// topologies returns what the stages of a network look like.
func topologies(n genotype.Genotype) (list []genotype.Topology) {
	for _, s := range n.Stages {
		list = append(list, s.Topology())
	}
	return list
}

// overStages returns the mean of a number over stages.
func overStages(stages []genotype.Topology, of func(genotype.Topology) float64) float64 {
	var values []float64
	for _, t := range stages {
		values = append(values, of(t))
	}
	return spreadOf(values).Mean
}

func dead(t genotype.Topology) float64     { return float64(t.Dead) }
func longest(t genotype.Topology) float64  { return float64(t.Longest) }
func meanPath(t genotype.Topology) float64 { return t.Mean }
