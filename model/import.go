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

// Origin describes the network of a file of weights from another program.
type Origin struct {
	Genotype genotype.Genotype
	Preset   plan.Preset
	Dataset  datasets.Info // the data set that it was trained on
	Classes  []string      // names of the classes; empty: those of the data set, or numbers if their count differs
}

// batches is the section of a checkpoint for the num_batches_tracked of imported batch norms. This
// program does not use them; they are stored to be exported again.
const batches = "batches"

// Import returns a checkpoint with weights from another program, in their types, and the description of
// their network. The size of the network follows from the shapes of the weights. One error names all
// tensors that do not fit. It runs inside torch.Do; the tensors belong to the innermost scope.
func Import(f weights.File, o Origin) (run.Checkpoint, Description, error) {
	own, faults := f.Own()
	d := Description{Macro: size(own, o.Preset), Dataset: o.Dataset.Name, Mean: o.Dataset.Mean, Std: o.Dataset.Std,
		Image: layer.Shape{C: int64(o.Dataset.Channels), H: int64(o.Dataset.Height), W: int64(o.Dataset.Width)}}
	fail := func(err error) (run.Checkpoint, Description, error) { return run.Checkpoint{}, d, err }
	if d.Macro.Channels == 0 || d.Macro.Classes == 0 {
		err := fmt.Errorf("the weights are of another network: the file has no tensors cells.0... and classifier..., so it holds no network with the names of DARTS or of the H-DAS authors; %w", firsts(f))
		if len(faults) > 0 {
			err = fmt.Errorf("%w; %w", err, weights.Faults(faults))
		}
		return fail(err)
	}
	entries, misfits, err := match(own, o.Genotype, &d)
	if err != nil {
		return fail(err)
	}
	if faults = append(faults, misfits...); len(faults) > 0 {
		return fail(misfit(own, o, d, faults))
	}
	params := tensors(entries)
	if err := numbers(params); err != nil {
		return fail(err)
	}
	if d.Classes, err = classNames(o, int(d.Macro.Classes)); err != nil {
		return fail(err)
	}
	seen := tensors(slices.DeleteFunc(slices.Clone(own), func(e weights.Entry) bool {
		return !strings.HasSuffix(e.Name, weights.Tracked) || e.DType != torch.Int64 || len(e.Shape) > 0
	}))
	c, err := checkpoint(o.Genotype, d, params)
	if err != nil {
		return fail(err)
	}
	c.Meta.Done, c.State[batches] = true, seen
	return c, d, nil
}

// numbers returns an error that names the weights with NaN or infinite values.
func numbers(params []nn.Param) error {
	var faults []string
	for _, p := range params {
		if p.Tensor.DType().Floating() && !Finite(p.Tensor) {
			faults = append(faults, p.Name)
		}
	}
	if n := len(faults); n > 0 {
		text := strings.Join(faults[:min(n, 8)], ", ")
		if n > 8 {
			text += ", ..."
		}
		return fmt.Errorf("%d tensors have values that are NaN or infinite: %s; the training that wrote them has diverged: take an earlier checkpoint", n, text)
	}
	return nil
}

// Imported is the result of ImportTo.
type Imported struct {
	Description
	Key        string   // the key of the weights in the file
	Notices    []string // parts of the file that were skipped, one line each
	Parameters int64    // number of elements, with the auxiliary head and the running statistics
}

// ImportTo reads the weights from a file and writes the checkpoint that Import returns for them to out.
// key is the key of the weights in the file; if it is empty, the usual keys are tried.
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

// firsts returns an error that lists the first names of tensors in a file.
func firsts(f weights.File) error {
	var names []string
	for _, e := range f.Entries[:min(5, len(f.Entries))] {
		names = append(names, e.Name)
	}
	return fmt.Errorf("it begins with %.300q", names)
}

// match returns the file's tensors for the parameters of the network. It tries the network with and
// without batch norms after poolings and takes the one with fewer faults.
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

// parameters returns the names and shapes of a network's parameters, in its order. It makes no tensor.
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

// size returns the size of a network from the shapes of its tensors. The majority decides, so that a
// single tensor of a wrong shape is reported as wrong.
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
			if number == "0" { // all layers of the first cell have the same number of outputs
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

// most returns the most frequent value, the largest of equally frequent ones, and 0 if there is none.
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

// tensors returns tensors with copies of the entries' data. They belong to the innermost scope.
func tensors(entries []weights.Entry) []nn.Param {
	params := make([]nn.Param, len(entries))
	for i, e := range entries {
		params[i] = nn.Param{Name: e.Name, Tensor: torch.FromBytes(e.Bytes(), e.DType, e.Shape...)}
	}
	return params
}
