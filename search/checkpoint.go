package search

import (
	"errors"
	"fmt"

	"hdas/configs"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// Checkpoint returns the whole state of the search: the network's weights, the architecture
// parameters, both optimizers, the random number generators and the metrics.
func (t *task) Checkpoint(epoch, batch int) (run.Checkpoint, error) {
	g, err := t.net.Arch.Genotype(t.Name)
	if err != nil {
		return run.Checkpoint{}, err
	}
	text, err := encode(g)
	if err != nil {
		return run.Checkpoint{}, err
	}
	c := run.Checkpoint{
		Meta: run.Meta{Kind: "search", Config: string(t.Resolved), Genotype: string(text), Epoch: epoch, Batch: batch, Seed: t.Seed,
			Generators: run.Generators(t.Options.Device), Best: t.best, BestEpoch: t.bestAt, Basis: t.Basis},
		State: map[string][]nn.Param{"sgd": t.learn.Weights.State(), "adam": t.learn.Arch.State(), "metrics": t.meter.TotalState(t.Group),
			"scales": append(t.learn.Arch.Scaler.State("arch"), t.learn.Weights.Scaler.State("weights")...)},
	}
	for p := range t.net.Weights.All() {
		c.State["weights"] = append(c.State["weights"], p)
	}
	for p := range t.net.Arch.Store.All() {
		c.State["arch"] = append(c.State["arch"], p)
	}
	if n := len(t.net.theta); n > 0 { // a second measurement of the latency would differ
		c.State["theta"] = []nn.Param{{Name: "theta", Tensor: torch.FromFloat64(t.net.theta, int64(n))}}
	}
	return c, nil
}

// join begins the search or restores the newest checkpoint of dir, in all processes, and returns the epoch and the batch
// at which it continues.
func (t *task) join() (epoch, batch int, err error) {
	c, resumed, err := t.dir.Latest()
	if resumed {
		epoch, batch, err = t.restore(c)
	}
	if err == nil {
		err = t.member.Join(t.Seed, epoch, batch, true, t.net.Weights, t.net.Arch.Store)
	}
	if err != nil || t.net.theta == nil || t.Config.Theta != configs.ThetaLatency {
		return epoch, batch, err
	}
	t.net.theta = t.Group.First(t.net.theta...)
	if !resumed { // a first checkpoint keeps the measured latency, in case the run is killed before the next one
		first, err := t.Checkpoint(0, 0)
		return 0, 0, errors.Join(err, t.dir.Save(first))
	}
	return epoch, batch, nil
}

// restore loads a checkpoint and returns the epoch and the batch at which the search continues.
func (t *task) restore(c run.Loaded) (epoch, batch int, err error) {
	if c.Meta.Kind != "search" {
		return 0, 0, fmt.Errorf("the run folder holds a %s, not a search", c.Meta.Kind)
	}
	err = errors.Join(
		t.net.Weights.Load(c.State["weights"]), t.net.Arch.Store.Load(c.State["arch"]),
		t.learn.Weights.Load(c.State["sgd"]), t.learn.Arch.Load(c.State["adam"]), c.SetGenerators(t.Options.Device, t.Note))
	if err != nil {
		return 0, 0, fmt.Errorf("the checkpoint does not fit this search: %w", err)
	}
	t.learn.Arch.Scaler.Load("arch", c.State["scales"])
	t.learn.Weights.Scaler.Load("weights", c.State["scales"])
	if t.Group.Rank() == 0 { // it has the samples of all
		t.meter.Load(c.State["metrics"], t.Options.Device)
	}
	if theta, ok := c.State["theta"]["theta"]; ok && t.net.theta != nil {
		t.net.theta = theta.Float64s()
	}
	t.best, t.bestAt = c.Meta.Best, c.Meta.BestEpoch
	if c.Meta.Done {
		return t.Config.Epochs, 0, nil // after fewer epochs if the search stopped early
	}
	return c.Meta.Epoch, c.Meta.Batch, nil
}
