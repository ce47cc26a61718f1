package search

import (
	"hdas/configs"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/search/space"
	"hdas/torch"
	"hdas/torch/nn"
)

// Losses holds the architecture's loss and its parts, scalar tensors.
type Losses struct {
	Total, Classification torch.Tensor
	Depth, Complexity     torch.Tensor // undefined if the search does not use them
}

// leave returns the losses without their graphs, moved to the scope around s.
func (l Losses) leave(s *torch.Scope) Losses {
	for _, t := range []*torch.Tensor{&l.Total, &l.Classification, &l.Depth, &l.Complexity} {
		if t.Defined() {
			*t = s.Return(t.Detach())
		}
	}
	return l
}

// archLoss returns the loss of the architecture, the weighted sum of its parts (H-DAS eq. 6). mix holds
// the coefficients of the forward pass that gave the classification loss.
func (n *Supernet) archLoss(classification torch.Tensor, mix *nn.Mix) Losses {
	l := Losses{Total: classification, Classification: classification}
	if n.config.Kind.FindsStages() {
		l.Depth = n.Arch.depthLoss(mix)
		l.Total = l.Total.Add(l.Depth.MulScalar(n.config.Delta))
	}
	if n.theta != nil {
		l.Complexity = n.Arch.complexityLoss(mix, n.theta)
		l.Total = l.Total.Add(l.Complexity.MulScalar(n.config.Gamma))
	}
	return l
}

// depthLoss returns L_depth of H-DAS eq. 2 or, with betas, eq. 4: a scalar, minus the sum over the
// stages of the mean depth of their cells. The depth of cell i is the mean of a_ij (d_j + 1) over the
// states j that it may read, where a_ij is the depth weight of the edge (see carried); the depth of an
// input of the stage is 0. The sum starts at the first cell, since i = 0 in eq. 2 would divide by zero.
func (a *Arch) depthLoss(mix *nn.Mix) torch.Tensor {
	total := torch.Zeros(a.Store.Options())
	for _, d := range a.dags {
		if d.Stages == nil {
			continue
		}
		carried := a.carried(d, mix)
		depth := make([]torch.Tensor, len(d.Nodes)) // of the cells; that of the inputs is 0
		sum := torch.Zeros(a.Store.Options())
		row := int64(0)
		for i, n := range d.Nodes {
			mean := torch.Zeros(a.Store.Options())
			for _, e := range n.In {
				edge, j := carried.Select(0, row), e.From-genotype.Inputs
				if j >= 0 {
					edge = edge.Mul(depth[j].AddScalar(1))
				}
				mean = mean.Add(edge)
				row++
			}
			depth[i] = mean.MulScalar(1 / float64(len(n.In)))
			if beta, ok := mix.Beta[d.Name]; ok {
				// Candidate output j, counted from 0, ends with cell i = j + MinCells - 1.
				if j := i + 1 - a.space.MinCells; j >= 0 {
					depth[i] = depth[i].Mul(beta.Select(0, int64(j)).MulScalar(float64(i)).AddScalar(1))
				}
			}
			sum = sum.Add(depth[i])
		}
		total = total.Sub(sum.MulScalar(float64(len(d.Stages)) / float64(len(d.Nodes))))
	}
	return total
}

// carried returns the weight of every edge (edges) of a stage in the depth loss, as depth_weights says.
// With "softmax", it is the sum of the softmax over all operations but `none`, so that the edges of a
// cell do not compete with each other.
func (a *Arch) carried(d space.DAG, mix *nn.Mix) torch.Tensor {
	alpha := a.parameter("alpha." + d.Name)
	switch a.config.DepthWeights {
	case configs.DepthRaw:
		return alpha.SumDim(1)
	case configs.DepthEdgeSoftmax:
		carrying := carryingColumns(alpha, d.Ops)
		strongest := carrying.Gather(1, carrying.TopK(1, 1)).Reshape(-1)
		return softmaxByNode(d, strongest)
	}
	return carryingColumns(mix.Alpha[d.Name], d.Ops).SumDim(1)
}

// carryingColumns returns the columns of a matrix (edges, operations) whose operations are not null.
func carryingColumns(t torch.Tensor, candidates []string) torch.Tensor {
	var columns []torch.Tensor
	for k, op := range candidates {
		if !ops.IsNull(op) {
			columns = append(columns, t.Select(1, int64(k)))
		}
	}
	return torch.Stack(columns, 1)
}

// complexityLoss returns L_comp of H-DAS eq. 5: a scalar, the sum over the stages of theta, the relative
// cost of a cell of that stage, times the expected number of cells.
func (a *Arch) complexityLoss(mix *nn.Mix, theta []float64) torch.Tensor {
	o := a.Store.Options()
	total := torch.Zeros(o)
	for _, d := range a.dags {
		beta, ok := mix.Beta[d.Name]
		if !ok {
			continue
		}
		n := beta.Mul(a.cells[d.Name]).Sum()
		for _, i := range d.Stages {
			total = total.Add(n.MulScalar(theta[i]))
		}
	}
	return total
}
