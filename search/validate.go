package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hdas/models/ops"
)

// Validate names every impossible value, and every combination that cannot be.
func (c Config) Validate() error {
	f := faults{}
	f.check(slices.Contains(Kinds, c.Kind), "kind %q is unknown; known are %v", c.Kind, Kinds)
	f.known("recompute", c.Recompute, "none", "edge", "cell")
	c.validateLearning(&f)
	c.validateDerivation(&f)
	if c.Kind.cells() {
		f.check(c.Nodes >= 1 && c.Nodes <= 16, "nodes %d is not in 1..16", c.Nodes)
		f.candidates("cell_primitives", c.CellPrimitives, ops.InCell)
		f.check(c.PartialChannels >= 1 && c.PartialChannels <= 64, "partial_channels %d is not in 1..64", c.PartialChannels)
	}
	if c.Kind.stages() {
		f.candidates("stage_primitives", c.StagePrimitives, ops.InStage)
		f.check(len(c.Lengths) >= 2, "lengths %v are not at least two stages", c.Lengths)
		f.known("depth_weights", c.DepthWeights, Softmax, Raw, EdgeSoftmax)
		f.check(c.Kind != Distribution || c.MinCells > 0, "min_cells 0 leaves a distribution search nothing to decide about the cells; at least 2")
		f.check(!c.EdgeNormalization || c.DepthWeights == Softmax, "depth_weights %q reads alphas alone, which edge_normalization scales by weights of the edges; use %s", c.DepthWeights, Softmax)
	}
	if c.least() > 0 {
		f.known("theta", c.Theta, thetaNames...)
		f.check(c.Kind != Joint || c.Theta == ThetaOne, "theta %q is the cost of a cell, which a joint search does not know before it is found; use %s", c.Theta, ThetaOne)
	}
	if len(f) == 0 { // the rest is the space's to say
		_, err := c.Space()
		f.check(err == nil, "%v", err)
	}
	return errors.Join(f...)
}

func (c Config) validateLearning(f *faults) {
	f.check(c.Epochs >= 1, "epochs %d is not at least 1", c.Epochs)
	f.check(c.Batch >= 2, "batch %d is not at least 2, which batch norm needs", c.Batch)
	f.known("order", c.Order, OrderFirst, OrderSecond)
	f.check(c.CheckpointSteps >= 0, "checkpoint_steps %d is negative", c.CheckpointSteps)
	w, a := c.Weights, c.Alpha
	f.check(w.LR > 0 && w.MinLR >= 0 && w.MinLR <= w.LR, "weights.lr %v and weights.min_lr %v are not 0 <= min_lr <= lr, lr > 0", w.LR, w.MinLR)
	f.check(w.Momentum >= 0 && w.Momentum < 1, "weights.momentum %v is not in [0,1)", w.Momentum)
	f.check(w.WeightDecay >= 0, "weights.weight_decay %v is negative", w.WeightDecay)
	f.check(w.Clip > 0, "weights.clip %v is not positive", w.Clip)
	f.check(a.LR > 0, "alpha.lr %v is not positive", a.LR)
	f.check(a.WeightDecay >= 0, "alpha.weight_decay %v is negative", a.WeightDecay)
	f.check(a.Beta1 >= 0 && a.Beta1 < 1 && a.Beta2 >= 0 && a.Beta2 < 1, "alpha.beta1 %v or alpha.beta2 %v is not in [0,1)", a.Beta1, a.Beta2)
	f.check(a.Warmup >= 0 && a.Warmup < c.Epochs, "alpha.warmup %d is not in 0..%d: of %d epochs at least one is for the architecture", a.Warmup, c.Epochs-1, c.Epochs)
}

func (c Config) validateDerivation(f *faults) {
	f.known("derivation", c.Derivation, Softmax, Raw)
	f.check(c.Derivation != Raw || !c.EdgeNormalization, "derivation %q compares alphas, which may be negative, so that the weights of edge_normalization cannot scale them; use %s", Raw, Softmax)
	f.check(c.Stop.Ratio >= 0 && c.Stop.Ratio < 1, "stop.ratio %v is not in [0,1)", c.Stop.Ratio)
	if c.Stop.Ratio > 0 {
		f.check(c.Stop.Window >= 1, "stop.window %d is not at least 1", c.Stop.Window)
		f.check(c.Epochs > 2*c.Stop.Window, "stop.window %d needs more than %d epochs to compare two windows before the end, not %d", c.Stop.Window, 2*c.Stop.Window, c.Epochs)
	}
	if c.Kind.cells() {
		f.check(c.MaxSkips >= -1, "max_skips %d is not at least 0, or -1 for any number", c.MaxSkips)
		other := slices.ContainsFunc(c.CellPrimitives, func(op string) bool { return !ops.IsNull(op) && !ops.IsSkip(op) })
		f.check(c.MaxSkips < 0 || other, "max_skips %d leaves no operation to take a skip's place in cell_primitives %v", c.MaxSkips, c.CellPrimitives)
	}
}

// Idle are the settings, by their keys, that this search has no use for, each with the reason.
func (c Config) Idle() map[string]string {
	idle := map[string]string{}
	add := func(why string, keys ...string) {
		for _, key := range keys {
			idle[key] = why
		}
	}
	if c.Kind.cells() {
		add(fmt.Sprintf("it has no use in a %s search, which finds the cells", c.Kind), "cells")
	} else {
		add("it has a use in a cell or joint search only", "stage_specific", "nodes", "cell_primitives", "partial_channels", "max_skips")
	}
	if !c.Kind.stages() {
		add("it has no use in a cell search: a chain has no stages to decide", "lengths", "window", "stage_primitives", "shared", "delta", "depth_weights")
	}
	if c.least() == 0 {
		add("it has a use in a distribution search only, or in a joint one with min_cells", "gamma", "theta")
	}
	if c.Kind != Distribution && c.Kind != Joint {
		add("it has a use in a distribution search only, or in a joint one", "min_cells")
	}
	if c.Stop.Ratio == 0 {
		add("it has a use with stop.ratio only", "stop.window")
	}
	return idle
}

// faults are what is wrong with a configuration.
type faults []error

func (f *faults) check(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

func (f *faults) known(key, value string, values ...string) {
	f.check(slices.Contains(values, value), "%s %q is unknown; known are %s", key, value, strings.Join(values, ", "))
}

// candidates checks a list of operations.
func (f *faults) candidates(key string, list []string, fits func(string) bool) {
	carries := false
	for i, op := range list {
		f.check(fits(op), "%s holds %q; known are %s", key, op, strings.Join(slices.DeleteFunc(ops.Names(), func(n string) bool { return !fits(n) }), ", "))
		f.check(!slices.Contains(list[:i], op), "%s holds %q twice", key, op)
		carries = carries || fits(op) && !ops.IsNull(op)
	}
	f.check(len(list) != 1, "%s %v leaves an edge nothing to decide; at least two candidates", key, list)
	f.check(carries, "%s %v holds nothing that carries data", key, list)
}
