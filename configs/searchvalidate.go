package configs

import (
	"fmt"
	"slices"

	"hdas/models/ops"
	"hdas/setting"
)

// Validate returns all faults of the section, including invalid combinations of settings.
func (c SearchSection) Validate() error {
	var f setting.Faults
	setting.Word(&f, "kind", c.Kind, Kinds)
	setting.Word(&f, "order", c.Order, orders)
	setting.Word(&f, "depth_weights", c.DepthWeights, depthWeights)
	setting.Word(&f, "theta", c.Theta, thetas)
	setting.Word(&f, "derivation", c.Derivation, derivations)
	setting.Word(&f, "recompute", c.Recompute, recomputes)
	c.checkLearning(&f)
	c.checkDerivation(&f)
	if c.Kind.FindsCells() {
		checkCandidates(&f, "cell_primitives", c.CellPrimitives, ops.InCell)
	}
	if c.Kind.FindsStages() {
		checkCandidates(&f, "stage_primitives", c.StagePrimitives, ops.InStage)
		f.Check(len(c.Lengths) >= 2 && len(c.Lengths) <= 16, "lengths", c.Lengths, "are not 2 to 16 stages")
		f.Check(c.Kind != DistributionSearch || c.MinCells > 0, "min_cells", c.MinCells, "must be at least 2 in a distribution search, which decides the number of cells")
		f.Check(!c.EdgeNormalization || c.DepthWeights == DepthSoftmax, "depth_weights", c.DepthWeights, "reads alphas alone, but edge_normalization multiplies them by weights of the edges; use %s", DepthSoftmax)
	}
	f.Check(c.Kind != JointSearch || c.LeastCells() == 0 || c.Theta == ThetaOne, "theta", c.Theta, "needs the cost of a cell, which a joint search does not know before it has found the cell; use %s", ThetaOne)
	f.Ranges(c, c.Idle())
	if len(f) > 0 {
		return f.Err()
	}
	_, err := c.Space()
	return err
}

func (c SearchSection) checkLearning(f *setting.Faults) {
	checkRates(f, c.Weights.LR, "weights.min_lr", c.Weights.MinLR)
	warmup := c.Alpha.Warmup
	f.Check(warmup >= 0 && warmup < c.Epochs, "alpha.warmup", warmup, "is not in 0..%d: of %d epochs at least one is for the architecture", c.Epochs-1, c.Epochs)
}

func (c SearchSection) checkDerivation(f *setting.Faults) {
	f.Check(c.Derivation != DerivationRaw || !c.EdgeNormalization, "derivation", c.Derivation, "compares alphas, which may be negative, so that the weights of edge_normalization cannot scale them; use %s", DerivationSoftmax)
	if c.Stop.Ratio > 0 {
		f.Check(c.Stop.Window < 1 || (c.Epochs-1)/c.Stop.Window >= 2, "stop.window", c.Stop.Window, "needs more than %d epochs to compare two windows before the end, not %d", 2*c.Stop.Window, c.Epochs)
	}
	if c.Kind.FindsCells() {
		other := slices.ContainsFunc(c.CellPrimitives, func(op string) bool { return !ops.IsNull(op) && !ops.IsSkip(op) })
		f.Check(c.MaxSkips < 0 || other, "max_skips", c.MaxSkips, "leaves no operation in cell_primitives %v that could replace a skip", c.CellPrimitives)
	}
}

// Fits returns the faults of the section for a network of that number of initial channels. coarse says
// that convolutions are computed in 16 bits.
func (c SearchSection) Fits(channels int64, coarse bool) error {
	var f setting.Faults
	p := int64(c.PartialChannels)
	f.Check(!c.Kind.FindsCells() || p < 1 || channels%p == 0, "partial_channels", p, "does not divide the network's %d channels", channels)
	f.Check(!coarse || c.Order != SecondOrder, "order", c.Order, "takes a finite difference, for which bf16 and fp16 are too coarse; use precision=float32")
	return f.Err()
}

// Idle returns the keys that this search does not use, each with the reason.
func (c SearchSection) Idle() map[string]string {
	idle := map[string]string{}
	add := func(why string, keys ...string) {
		for _, key := range keys {
			idle[key] = why
		}
	}
	if c.Kind.FindsCells() {
		add(fmt.Sprintf("it is not used in a %s search, which finds the cells", c.Kind), "cells")
	} else {
		add("it is used in a cell or joint search only", "stage_specific", "nodes", "cell_primitives", "partial_channels", "max_skips")
	}
	if !c.Kind.FindsStages() {
		add("it is not used in a cell search: a chain has no stages", "lengths", "window", "stage_primitives", "shared", "delta", "depth_weights")
	}
	if c.LeastCells() == 0 {
		add("it is used in a distribution search only, or in a joint one with min_cells", "gamma", "theta")
	}
	if c.Kind != DistributionSearch && c.Kind != JointSearch {
		add("it is used in a distribution search only, or in a joint one", "min_cells")
	}
	if c.Stop.Ratio == 0 {
		add("it is used with stop.ratio only", "stop.window")
	}
	return idle
}

// checkCandidates checks a list of candidate operations; fits reports whether an operation may be in it.
func checkCandidates(f *setting.Faults, key string, list []string, fits func(string) bool) {
	known := slices.DeleteFunc(ops.Names(), func(name string) bool { return !fits(name) })
	carries := false
	for i, op := range list {
		f.Check(fits(op), key, list, "holds %q; known are %s", op, setting.List(known))
		f.Check(!slices.Contains(list[:i], op), key, list, "holds %q twice", op)
		carries = carries || fits(op) && !ops.IsNull(op)
	}
	f.Check(len(list) != 1, key, list, "has one candidate only; at least two are needed")
	f.Check(carries, key, list, "holds no operation other than none")
}

// checkRates checks the last learning rate against the first.
func checkRates(f *setting.Faults, lr float64, minKey string, minLR float64) {
	f.Check(minLR >= 0 && minLR <= lr, minKey, minLR, "is not in 0..%v, the first learning rate", lr)
}
