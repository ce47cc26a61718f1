package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"hdas/configs"
	"hdas/datasets"
	"hdas/estimate"
	"hdas/internal/proc"
	"hdas/models/genotype"
	"hdas/torch"
)

// EstimateSearch predicts time and memory of a search, without writing a file. If the images are absent, it uses
// random ones.
func EstimateSearch(ctx context.Context, c configs.Search, w Watch) (estimate.Estimate, error) {
	return w.estimateSearch(ctx, c, 1, Jobs{})
}

// EstimateSeeds predicts time and memory of a search with several seeds.
func EstimateSeeds(ctx context.Context, c configs.Search, s Seeds, w Watch) (estimate.Estimate, error) {
	if s.N < 1 {
		return estimate.Estimate{}, &ConfigError{fmt.Errorf("%d seeds: at least one is needed", s.N)}
	}
	e, err := w.estimateSearch(ctx, s.share(c, ""), s.N, s.Jobs)
	if err != nil || s.Select == nil {
		return e, err
	}
	g, err := Random(c, 1)
	if err != nil {
		return e, err
	}
	t, err := w.openTraining(*s.Select, true)
	if err != nil {
		return e, err
	}
	short, err := w.estimateTraining(ctx, *s.Select, t, g[0], s.N, 1, Jobs{})
	if err != nil {
		return e, err
	}
	short.Parts[0].Name = "training that selects a genotype"
	return estimate.Join(e, short), nil
}

// EstimateTrain predicts time and memory of a training.
func EstimateTrain(ctx context.Context, c configs.Train, g genotype.Genotype, w Watch) (estimate.Estimate, error) {
	return EstimateTrainings(ctx, c, g, Seeds{N: 1}, w)
}

// EstimateTrainings predicts time and memory of trainings with several seeds.
func EstimateTrainings(ctx context.Context, c configs.Train, g genotype.Genotype, s Seeds, w Watch) (estimate.Estimate, error) {
	x, err := w.openTraining(c, false)
	if err != nil {
		return estimate.Estimate{}, err
	}
	if c.Train.Probe {
		return estimate.Estimate{}, &ConfigError{errors.New("the steps of a training are predicted; a linear probe (train.probe) runs the network once over the images instead")}
	}
	if s.N > 1 {
		c.Threads = s.threads(c.Common, "")
	}
	return w.estimateTraining(ctx, c, x, g, s.N, s.N, s.Jobs)
}

// checkTraining is EstimateTrainings by a few small steps, as n runs warn before they begin.
func (w Watch) checkTraining(ctx context.Context, c configs.Train, x opened, g genotype.Genotype, n int, s Jobs) (estimate.Estimate, error) {
	return w.measureTraining(c, x, g, n, n, s, func(p estimate.Probe, r estimate.Run, m estimate.Machine) (estimate.Estimate, error) {
		return estimate.Check(context.WithoutCancel(ctx), p, r, m)
	})
}

// measuredRandom is the number of random genotypes of a comparison that are measured.
const measuredRandom = 3

// EstimateCompare predicts time and memory of a comparison. It measures the found genotype and the first of
// the random ones.
func EstimateCompare(ctx context.Context, c configs.Train, k ComparePlan, s Jobs, w Watch) (estimate.Estimate, error) {
	x, err := w.openTraining(c, false)
	if err != nil {
		return estimate.Estimate{}, err
	}
	c.Threads = s.threads(c.Common, 0)
	n := len(k.networks)
	all, err := w.estimateTraining(ctx, c, x, k.networks[0], k.Repeats, n, s)
	if err != nil {
		return all, err
	}
	random := k.networks[k.Repeats:]
	measured := min(measuredRandom, len(random))
	for i, g := range random[:measured] {
		runs := (len(random) + measured - 1 - i) / measured // those that are not measured count as these
		one, err := w.estimateTraining(ctx, c, x, g, runs, n, s)
		if err != nil {
			return all, err
		}
		all = estimate.Join(all, one)
	}
	// The networks of all parts run side by side, and each device does about as many of them.
	var whole estimate.Seconds
	for _, p := range all.Parts {
		whole = whole.Plus(p.Run.Times(float64(p.Runs)))
	}
	rounds := (n + s.atOnce(n) - 1) / s.atOnce(n)
	all.Seconds = whole.Times(float64(rounds) / float64(n))
	if measured < len(random) {
		all.Assumed = append(all.Assumed, fmt.Sprintf("the other %d random genotypes need as much as those that were measured", len(random)-measured))
	}
	return all, nil
}

func (w Watch) estimateSearch(ctx context.Context, c configs.Search, n int, s Jobs) (e estimate.Estimate, err error) {
	x, err := openOrStandIn(c.Data.Spec, datasets.Train)
	if err != nil {
		return e, err
	}
	err = w.probeSearch(c, x.parts[datasets.Train], x.held, n, s, func(p estimate.Probe, r estimate.Run, m estimate.Machine) error {
		e, err = estimate.Measure(ctx, p, r, m, w.Measured)
		return err
	})
	e.Assumed = x.assumed
	return e, err
}

// warnSeeds notes that searches which run at once will probably not fit into the memory.
func (w Watch) warnSeeds(ctx context.Context, c configs.Search, s Seeds, folder string) error {
	if s.atOnce(s.N) == 1 {
		return nil // each search warns
	}
	learn, err := c.Data.Open(datasets.Train)
	if err != nil {
		return err
	}
	return w.probeSearch(s.share(c, folder), learn, 0, s.N, s.Jobs, func(p estimate.Probe, r estimate.Run, m estimate.Machine) error {
		_, err := w.warn(ctx, p, r, m)
		return err
	})
}

// probeSearch calls f with what is measured of n searches with that configuration. Several run in processes of
// their own, beside this one, whose threads are as before when f returns.
func (w Watch) probeSearch(c configs.Search, learn datasets.Dataset, held int64, n int, s Jobs, f func(estimate.Probe, estimate.Run, estimate.Machine) error) error {
	var threads int
	torch.Do(func(*torch.Scope) error { threads = torch.Threads(); return nil })
	defer torch.Do(func(*torch.Scope) error { torch.SetThreads(threads); return nil })
	c.Device = w.device(c.Device)
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return err
	}
	weights, arch := datasets.Halves(learn, c.Seed)
	p, r, err := w.searchSetup(c, o, autocast, weights, arch).Probe()
	if err != nil {
		return err
	}
	return f(p, r, runsAtOnce(machine(o, held, n > 1), n, n, s))
}

// opened holds the parts of a data set, or their stand-ins.
type opened struct {
	parts   map[string]datasets.Dataset
	assumed []string
	held    int64
}

// openOrStandIn opens parts of a data set, or stand-ins for them if its files are absent.
func openOrStandIn(s datasets.Spec, splits ...string) (x opened, err error) {
	x.parts = map[string]datasets.Dataset{}
	absent := datasets.Missing(s.Name, s.Dir) != nil
	for _, split := range splits {
		if !absent {
			d, err := s.Open(split)
			if err == nil {
				err = datasets.Usable(d, split)
			}
			if err != nil {
				return x, err
			}
			x.parts[split] = d
			continue
		}
		d, err := s.StandIn(split)
		if err != nil {
			return x, err
		}
		x.parts[split], x.held, x.assumed = d.Dataset, x.held+d.Held, []string{d.Assumed}
	}
	return x, nil
}

// openTraining opens the data of a training. halved is whether it learns from one half of the training images
// and is scored on the other.
func (w Watch) openTraining(c configs.Train, halved bool) (opened, error) {
	splits := []string{datasets.Train, datasets.Test}
	if halved {
		splits = splits[:1]
	}
	x, err := openOrStandIn(c.Data.Spec, splits...)
	if err != nil {
		return x, err
	}
	if halved {
		x.parts[datasets.Train], x.parts[datasets.Test] = datasets.Halves(x.parts[datasets.Train], c.Seed)
	}
	data{parts: x.parts, cuts: map[string]datasets.Cut{}}.validate(c, nil)
	return x, nil
}

func (w Watch) estimateTraining(ctx context.Context, c configs.Train, x opened, g genotype.Genotype, n, of int, s Jobs) (estimate.Estimate, error) {
	return w.measureTraining(c, x, g, n, of, s, func(p estimate.Probe, r estimate.Run, m estimate.Machine) (estimate.Estimate, error) {
		return estimate.Measure(ctx, p, r, m, w.Measured)
	})
}

// measureTraining calls f with what is measured of n trainings, which are done side by side with others, together `of`.
// If several run at once, they are in processes of their own, beside this one.
func (w Watch) measureTraining(c configs.Train, x opened, g genotype.Genotype, n, of int, s Jobs, f func(estimate.Probe, estimate.Run, estimate.Machine) (estimate.Estimate, error)) (estimate.Estimate, error) {
	c.Device = w.device(c.Device)
	o, autocast, err := prepare(c.Common)
	if err != nil {
		return estimate.Estimate{}, err
	}
	setup, err := w.trainSetup(c, o, autocast, g, x.parts)
	if err != nil {
		return estimate.Estimate{}, err
	}
	p, r, err := setup.Probe()
	if err != nil {
		return estimate.Estimate{}, err
	}
	e, err := f(p, r, runsAtOnce(machine(o, x.held, s.atOnce(of) > 1), n, of, s))
	e.Assumed = x.assumed
	return e, err
}

// machine returns where a run computes whose data set holds that many bytes besides what this process holds
// already. apart is whether runs are in processes of their own, beside this one.
func machine(o torch.Options, held int64, apart bool) estimate.Machine {
	m := estimate.Machine{Device: o.Device.String()}
	torch.Do(func(*torch.Scope) error {
		m.Threads = torch.Threads()
		if o.Device.IsCUDA() { // building takes most of the time of a measurement; steps are recorded after the first
			m.Free, m.Quick, m.Warm = torch.FreeMemory(o.Device), 3, torch.Warm+1
		}
		return nil
	})
	if o.Device.IsCUDA() {
		return m
	}
	runtime.GC()
	here := proc.Process("VmRSS")
	m.Fixed = here + held
	if free := proc.Free(); free > 0 {
		if m.Free = free; !apart {
			m.Free += here
		}
		m.Confine = func() func() { return proc.Confine(free) }
	}
	return m
}

// runsAtOnce returns m for n runs, which are done side by side with others, together `of`. On GPUs they have the memory of all
// of these; CPUs share one.
func runsAtOnce(m estimate.Machine, n, of int, s Jobs) estimate.Machine {
	m.Runs, m.AtOnce = n, s.atOnce(of)
	if m.Device != "cpu" {
		m.Free *= int64(s.devices(of))
	}
	return m
}

// warn notes that a run will probably not fit into the memory, if a few small steps say so. It is not stopped with
// ctx, but ends soon: the run itself then stops with a checkpoint.
func (w Watch) warn(ctx context.Context, p estimate.Probe, r estimate.Run, m estimate.Machine) (estimate.Estimate, error) {
	e, err := estimate.Check(context.WithoutCancel(ctx), p, r, m)
	if err != nil {
		return e, err
	}
	if text := e.Warning(); text != "" {
		w.note(text)
	}
	return e, nil
}
