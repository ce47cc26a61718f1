package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hdas/datasets"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/torch"
	"hdas/weights"
)

// misfit returns the error for tensors that do not fit the given network. It names the published network that
// they fit better, if there is one. If they fit that one exactly, it lists only a few of the faults.
func misfit(own []weights.Entry, o Origin, d Description, faults []error) error {
	err := fmt.Errorf("the weights are of another network: they are not those of %s (%s, C=%d, %d cells, %d classes according to most tensors)",
		o.Genotype.Name, d.Macro.Preset, d.Macro.Channels, d.Macro.Layers, d.Macro.Classes)
	better, left := nearest(own, o, d, len(faults))
	switch {
	case better == "":
		return fmt.Errorf("%w: %w", err, weights.Faults(faults))
	case left == 0:
		return fmt.Errorf("%w; all fit %s, but %d tensors do not fit the former:\n%w", err, better, len(faults), errors.Join(ends(faults)...))
	}
	return fmt.Errorf("%w; they are nearer to %s, of which %d do not fit: %w", err, better, left, weights.Faults(faults))
}

// ends returns the first and the last faults.
func ends(faults []error) []error {
	const most = 3
	if len(faults) <= 2*most {
		return faults
	}
	left := fmt.Errorf("... and %d more", len(faults)-2*most)
	return slices.Concat(faults[:most], []error{left}, faults[len(faults)-most:])
}

// nearest returns the flags of hdas import for the network that the tensors fit best, and the number of faults
// that are left. It tries the given genotype and the published ones with both presets. flags is empty if none
// has fewer faults than least.
func nearest(own []weights.Entry, o Origin, d Description, least int) (flags string, left int) {
	for _, preset := range []plan.Preset{plan.CIFAR, plan.ImageNet} {
		as := d
		as.Macro = size(own, preset)
		if preset != o.Preset {
			info, err := datasets.Describe(usualData[preset])
			if err != nil {
				continue
			}
			as.Image.C, as.Image.H, as.Image.W = int64(info.Channels), int64(info.Height), int64(info.Width)
		}
		for _, g := range alike(o.Genotype, own) {
			if preset == o.Preset && g.Name == o.Genotype.Name {
				continue
			}
			_, faults, err := match(own, g, &as)
			if err == nil && len(faults) < least {
				least, flags = len(faults), fmt.Sprintf("--genotype %s --preset %s", g.Name, preset)
			}
			if least == 0 {
				return flags, 0
			}
		}
	}
	return flags, least
}

// usualData holds the usual data set of each preset.
var usualData = map[plan.Preset]string{plan.CIFAR: "cifar10", plan.ImageNet: "imagenet"}

// alike returns the genotypes to try, the given one first. If there are tensors of stages, they are all
// combinations of published cells and stages, otherwise chains.
func alike(given genotype.Genotype, own []weights.Entry) []genotype.Genotype {
	staged := slices.ContainsFunc(own, func(e weights.Entry) bool { return strings.HasPrefix(e.Name, "stages.") })
	all := []genotype.Genotype{given}
	var cells, stages []genotype.Genotype
	for _, name := range genotype.Names() {
		g, err := genotype.Published(name)
		switch {
		case err != nil:
		case len(g.Cells) == 0:
			stages = append(stages, g)
		case len(g.Stages) == 0:
			cells = append(cells, g)
		case staged:
			all = append(all, g)
		}
	}
	if !staged {
		return append(all, cells...)
	}
	for _, s := range stages {
		for _, c := range cells {
			if g, err := genotype.Combine(c, s); err == nil {
				all = append(all, g)
			}
		}
	}
	return all
}

// check returns an error if the tensors of a checkpoint do not fit its description. It is called before the
// network is built, because a small file may describe a network of any size.
func (d Description) check(g genotype.Genotype, tensors map[string]torch.Tensor) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("the checkpoint describes another network than it holds: %w", fmt.Errorf(format, args...))
	}
	if d.Macro.Layers > len(tensors) {
		return fail("one of %d cells, but it has %d tensors", d.Macro.Layers, len(tensors))
	}
	want, err := parameters(g, d)
	if err != nil {
		return err
	}
	for _, w := range want {
		if t, ok := tensors[w.Name]; !ok {
			return fail("%s %v is missing", w.Name, w.Shape)
		} else if !slices.Equal(t.Shape(), w.Shape) {
			return fail("%s has shape %v, not %v", w.Name, t.Shape(), w.Shape)
		}
	}
	return nil
}
