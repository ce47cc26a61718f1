package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hdas/datasets"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights"
)

// Origin is what a file of another program does not say of its network.
type Origin struct {
	Genotype genotype.Genotype
	Preset   plan.Preset
	Dataset  datasets.Info // that it was trained on
	Classes  []string      // their names; empty: the data set's, or numbers where it has not as many
}

// batches is the section of a checkpoint with the numbers of batches that batch norms have seen
// elsewhere. Nothing here counts them: they are kept to be exported again.
const batches = "batches"

// Import makes a checkpoint of the weights of another program, with the types that they have. What
// depends on the network's size is read off their shapes; what does not fit is named in one error, all of it.
// It runs inside torch.Do.
func Import(f weights.File, o Origin) (run.Checkpoint, Description, error) {
	own, faults := f.Own()
	d := Description{Macro: size(own, o.Preset), Dataset: o.Dataset.Name, Mean: o.Dataset.Mean, Std: o.Dataset.Std,
		Image: layer.Shape{C: int64(o.Dataset.Channels), H: int64(o.Dataset.Height), W: int64(o.Dataset.Width)}}
	fail := func(err error) (run.Checkpoint, Description, error) { return run.Checkpoint{}, d, err }
	if d.Macro.Channels == 0 || d.Macro.Classes == 0 {
		return fail(fmt.Errorf("the weights are of another network: the file has no tensors cells.0... and classifier..., so no network's by the names of DARTS or of the H-DAS authors: %w",
			weights.Faults(append(faults, firsts(f)))))
	}
	entries, misfits, err := match(own, o.Genotype, &d)
	if err != nil {
		return fail(err)
	}
	if faults = append(faults, misfits...); len(faults) > 0 {
		return fail(misfit(own, o, d, faults))
	}
	if d.Classes, err = classNames(o, int(d.Macro.Classes)); err != nil {
		return fail(err)
	}
	params, seen := tensors(entries), tensors(slices.DeleteFunc(slices.Clone(own), func(e weights.Entry) bool {
		return !strings.HasSuffix(e.Name, weights.Tracked) || e.DType != torch.Int64 || len(e.Shape) > 0
	}))
	c, err := checkpoint(o.Genotype, d, params)
	if err != nil {
		return fail(err)
	}
	c.Meta.Done, c.State[batches] = true, seen
	return c, d, nil
}

// Imported is what a file of another program held.
type Imported struct {
	Description
	Key        string   // under which the weights were in the file
	Notices    []string // what of the file was passed over, a line each
	Parameters int64    // those of the auxiliary head and of batch norms' statistics included
}

// ImportTo reads the weights in a file, under that key or, where it is empty, where they usually are,
// and writes the checkpoint that Import makes of them.
func ImportTo(out, file, key string, o Origin) (i Imported, err error) {
	f, err := weights.Read(file, key)
	if err != nil {
		return i, err
	}
	i.Key, i.Notices = f.Key, f.Notices
	err = torch.Do(func(*torch.Scope) error {
		c, d, err := Import(f, o)
		if i.Description = d; err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, p := range c.State[weightsSection] {
			i.Parameters += p.Tensor.Numel()
		}
		return run.Write(out, c)
	})
	return i, err
}

// firsts says how the tensors in a file are called.
func firsts(f weights.File) error {
	var names []string
	for _, e := range f.Entries[:min(5, len(f.Entries))] {
		names = append(names, e.Name)
	}
	return fmt.Errorf("it begins with %.300q", names)
}

// match finds the network's parameters among the file's. Whether poolings are followed by batch
// norms is what fits better.
func match(own []weights.Entry, g genotype.Genotype, d *Description) (best []weights.Entry, least []error, err error) {
	var chosen plan.PoolNorm
	for _, norm := range []plan.PoolNorm{plan.PoolNormAuto, plan.PoolNormOn, plan.PoolNormOff} {
		d.Macro.PoolNorm = norm
		want, err := parameters(g, *d)
		if err != nil {
			return nil, nil, err
		}
		found, faults := weights.Match(own, want)
		if chosen == "" || len(faults) < len(least) {
			chosen, best, least = norm, found, faults
		}
		if len(faults) == 0 {
			break
		}
	}
	d.Macro.PoolNorm = chosen
	return best, least, nil
}

// parameters are those of a network, in its order; no tensor is made.
func parameters(g genotype.Genotype, d Description) ([]weights.Want, error) {
	network, err := d.Plan(g)
	if err != nil {
		return nil, err
	}
	var want []weights.Want
	for _, p := range network.Params() {
		want = append(want, weights.Want{Name: p.Name, Shape: p.Shape})
	}
	return want, nil
}

// size reads a network's size off the shapes of its tensors. What most of them say counts, so that
// one of another shape is found to be at fault.
func size(own []weights.Entry, preset plan.Preset) plan.Macro {
	m := plan.Macro{Preset: preset, Wiring: plan.Summed}
	channels, classes, cells := map[int64]int{}, map[int64]int{}, map[int]bool{}
	for _, e := range own {
		m.Auxiliary = m.Auxiliary || strings.HasPrefix(e.Name, "auxiliary_head.")
		if len(e.Shape) == 0 {
			continue
		}
		if rest, ok := strings.CutPrefix(e.Name, "cells."); ok {
			number, _, _ := strings.Cut(rest, ".")
			if k, err := strconv.Atoi(number); err == nil {
				cells[k] = true
			}
			if number == "0" { // all of whose layers have as many outputs
				channels[e.Shape[0]]++
			}
		}
		if strings.HasSuffix("."+e.Name, ".classifier.weight") || strings.HasSuffix("."+e.Name, ".classifier.bias") {
			classes[e.Shape[0]]++
		}
	}
	for cells[m.Layers] {
		m.Layers++
	}
	m.Channels, m.Classes = most(channels), most(classes)
	return m
}

// most is the value that is there most often, 0 where there is none; of several the largest.
func most(times map[int64]int) (value int64) {
	for v, n := range times {
		if n > times[value] || n == times[value] && v > value {
			value = v
		}
	}
	return value
}

func classNames(o Origin, n int) ([]string, error) {
	switch {
	case len(o.Classes) == n:
		return o.Classes, nil
	case len(o.Classes) > 0:
		return nil, fmt.Errorf("%d names of classes for a network of %d", len(o.Classes), n)
	case len(o.Dataset.Classes) == n:
		return o.Dataset.Classes, nil
	}
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names, nil
}

// tensors copies arrays into tensors, which belong to the innermost scope.
func tensors(entries []weights.Entry) []nn.Param {
	params := make([]nn.Param, len(entries))
	for i, e := range entries {
		params[i] = nn.Param{Name: e.Name, Tensor: torch.FromBytes(e.Bytes(), e.DType, e.Shape...)}
	}
	return params
}
