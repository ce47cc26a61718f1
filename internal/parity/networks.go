package parity

import (
	"hdas/configs"
	"hdas/models/plan"
	"slices"
)

// The names of networks that are used elsewhere.
const (
	Chain        = "chain"
	Staged       = "staged"
	Cell         = string(configs.CellSearch)
	Distribution = string(configs.DistributionSearch)
	Stage        = string(configs.StageSearch)
)

// network is a network that can be compared: a derived one, or the supernet of a search.
type network struct {
	name string
	// Of a derived network with stages: its wiring and its stage output.
	wiring plan.Wiring
	output plan.StageOutput
	// Of a supernet: the kind of its search, and the changes to its default settings.
	kind   configs.Kind
	change func(*configs.SearchSection)
}

// networks lists all networks. Together the supernets cover every option of a search that changes a
// loss or a gradient.
var networks = []network{
	{name: Chain},
	{name: Staged, wiring: plan.Summed},
	{name: "paired", wiring: plan.Paired, output: plan.LastTwo},
	{name: "paired-last", wiring: plan.Paired, output: plan.Last},
	{name: Cell, kind: configs.CellSearch},
	{name: "cell-partial", kind: configs.CellSearch, change: func(c *configs.SearchSection) { c.PartialChannels, c.EdgeNormalization = 2, true }},
	{name: Distribution, kind: configs.DistributionSearch},
	{name: "distribution-shared", kind: configs.DistributionSearch, change: func(c *configs.SearchSection) {
		c.Lengths, c.MinCells, c.Shared, c.DepthWeights = []int{5, 5, 5}, 3, true, configs.DepthEdgeSoftmax
	}},
	{name: Stage, kind: configs.StageSearch},
	{name: "stage-raw", kind: configs.StageSearch, change: func(c *configs.SearchSection) { c.DepthWeights = configs.DepthRaw }},
	{name: "stage-shared", kind: configs.StageSearch, change: func(c *configs.SearchSection) { c.Shared, c.EdgeNormalization = true, true }},
	{name: "joint", kind: configs.JointSearch, change: func(c *configs.SearchSection) { c.Lengths = []int{3, 3, 3} }},
	{name: "joint-partial", kind: configs.JointSearch, change: func(c *configs.SearchSection) {
		c.Lengths, c.MinCells, c.StageSpecific = []int{3, 4, 3}, 2, true
		c.PartialChannels, c.EdgeNormalization = 2, true
	}},
}

// Networks returns the names of all networks.
func Networks() []string {
	var names []string
	for _, n := range networks {
		names = append(names, n.name)
	}
	return names
}

// network returns the network of the case.
func (c Case) network() network {
	return networks[slices.IndexFunc(networks, func(n network) bool { return n.name == c.Network })]
}

// Given returns which genotype the network of that name needs: Chain or Staged, the genotype of such a
// derived network; Cell, a genotype whose cells are used; "", none.
func Given(name string) string {
	switch n := (Case{Network: name}).network(); {
	case n.wiring != "":
		return Staged
	case n.kind == "":
		return Chain
	case n.kind == configs.DistributionSearch || n.kind == configs.StageSearch:
		return Cell
	}
	return ""
}
