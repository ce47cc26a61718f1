package configs

import (
	"strings"
	"testing"
)

func TestImpossibleConfigurations(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		set   func(*SearchSection)
		words string
	}{
		{CellSearch, func(c *SearchSection) { c.Order = "third" }, "first, second"},
		{CellSearch, func(c *SearchSection) { c.Derivation = "guess" }, "softmax, raw"},
		{CellSearch, func(c *SearchSection) { c.Derivation, c.EdgeNormalization = DerivationRaw, true }, "may be negative"},
		{CellSearch, func(c *SearchSection) { c.PartialChannels = 0 }, "partial_channels 0"},
		{CellSearch, func(c *SearchSection) { c.MaxSkips = -2 }, "max_skips -2"},
		{CellSearch, func(c *SearchSection) { c.MaxSkips, c.CellPrimitives = 2, []string{"none", "skip_connect"} }, "take a skip's place"},
		{CellSearch, func(c *SearchSection) { c.Alpha.Warmup = 50 }, "at least one is for the architecture"},
		{CellSearch, func(c *SearchSection) { c.Stop.Ratio = 1 }, "[0,1)"},
		{CellSearch, func(c *SearchSection) { c.Stop.Ratio, c.Epochs = 0.75, 10 }, "more than 10 epochs"},
		{CellSearch, func(c *SearchSection) { c.CheckpointSteps = -1 }, "negative"},
		{CellSearch, func(c *SearchSection) { c.CellPrimitives = []string{"sep_conv_3x3"} }, "nothing to decide"},
		{StageSearch, func(c *SearchSection) { c.Window = 8 }, "window 8"},
		{StageSearch, func(c *SearchSection) { c.Window = 1 }, "window 1"},
		{StageSearch, func(c *SearchSection) { c.Shared, c.Lengths = true, []int{6, 6, 5} }, "one and the same DAG"},
		{StageSearch, func(c *SearchSection) { c.DepthWeights = "heavy" }, "edge_softmax"},
		{StageSearch, func(c *SearchSection) { c.DepthWeights, c.EdgeNormalization = DepthRaw, true }, "reads alphas alone"},
		{StageSearch, func(c *SearchSection) { c.Cells = "Hs_DAS_CIFAR_stages" }, "has no cells"},
		{DistributionSearch, func(c *SearchSection) { c.MinCells = 0 }, "nothing to decide"},
		{DistributionSearch, func(c *SearchSection) { c.Theta = "watts" }, "latency"},
		{JointSearch, func(c *SearchSection) { c.MinCells, c.Theta = 4, ThetaFLOPs }, "before it is found"},
		{JointSearch, func(c *SearchSection) { c.StageSpecific, c.Lengths = true, []int{2, 2, 2, 2} }, "normal4"},
	} {
		config := DefaultSearchSection(c.kind)
		c.set(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s search: %v does not say %q", c.kind, err, c.words)
		}
	}
}

func TestTrainSectionNamesEveryFault(t *testing.T) {
	c := TrainSection{Schedule: "x", Momentum: 2, DropPath: 1}
	err := c.Validate()
	for _, word := range []string{"epochs", "batch", "lr", "schedule", "momentum", "clip", "drop_path"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %s", err, word)
		}
	}
}
