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
// without the edges of the stage: the median of several measurements in evaluation mode, after a warm-up.
func (n *Supernet) latency(i int) (float64, error) {
	const measured = 9
	// A GPU is waited for once in many passes: the time of one would be that of its launches.
	passes := 1
	if n.Weights.Options().Device.IsCUDA() {
		passes = 50
	}
	var times []float64
	in := n.Net.Plan.Stages[i].Cells[0].In[0]
	cell, err := n.Net.Standalone(i, 0)
	if err != nil {
		return 0, err
	}
	torch.NoGrad(func() {
		for range measured + 1 {
			torch.Within(func(*torch.Scope) {
				x := torch.Ones(n.Weights.Options(), int64(n.config.Batch), in.C, in.H, in.W)
				x.Select(0, 0).Sum().Item() // waits until the device has finished earlier work
				times = append(times, perPass(time.Now, passes, func() torch.Tensor { return cell.Forward(&nn.Ctx{}, x).Sum() }))
			})
		}
	})
	times = times[1:]
	slices.Sort(times)
	return times[measured/2], nil
}

// perPass returns the seconds of one of several passes that follow each other without waiting for the device.
// pass returns a scalar that is known when the pass is complete.
func perPass(now func() time.Time, passes int, pass func() torch.Tensor) float64 {
	start := now()
	for i := range passes {
		torch.Within(func(*torch.Scope) {
			if result := pass(); i+1 == passes {
				result.Item()
			}
		})
	}
	return now().Sub(start).Seconds() / float64(passes)
}
