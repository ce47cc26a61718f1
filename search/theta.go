package search

import (
	"hdas/configs"
	"slices"
	"time"

	"hdas/torch"
	"hdas/torch/nn"
)

// thetas returns the cost of one cell of each stage, divided by the mean over the stages. (A cost in
// FLOPs or seconds would be of another magnitude than the other losses.)
func (n *Supernet) thetas(kind configs.Theta) (theta []float64, err error) {
	mean := 0.0
	for i, s := range n.Net.Plan.Stages {
		cost := 1.0
		switch kind {
		case configs.ThetaFLOPs:
			cost = float64(s.Cells[0].Cost.MACs)
		case configs.ThetaParameters:
			cost = float64(s.Cells[0].Cost.Parameters)
		case configs.ThetaLatency:
			if cost, err = n.latency(i); err != nil {
				return nil, err
			}
		}
		theta = append(theta, cost)
		mean += cost / float64(len(n.Net.Plan.Stages))
	}
	for i := range theta {
		theta[i] /= mean
	}
	return theta, nil
}

// latency returns the time, in seconds, of a forward pass of the first cell of stage i on a batch,
// without the edges of the stage: the median of several passes in evaluation mode, after a warm-up.
func (n *Supernet) latency(i int) (float64, error) {
	const passes = 9
	var times []float64
	in := n.Net.Plan.Stages[i].Cells[0].In[0]
	cell, err := n.Net.Standalone(i, 0)
	if err != nil {
		return 0, err
	}
	torch.NoGrad(func() {
		for range passes + 1 {
			torch.Within(func(*torch.Scope) {
				x := torch.Ones(n.Weights.Options(), int64(n.config.Batch), in.C, in.H, in.W)
				x.Select(0, 0).Sum().Item() // waits until the device has finished earlier work
				start := time.Now()
				cell.Forward(&nn.Ctx{}, x).Sum().Item()
				times = append(times, time.Since(start).Seconds())
			})
		}
	})
	times = times[1:]
	slices.Sort(times)
	return times[passes/2], nil
}
