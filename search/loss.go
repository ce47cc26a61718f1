package search

import (
	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/ops"
	"hdas/torch"
)

// Theta names what a cell costs in the complexity loss.
const (
	ThetaOne        = "one"
	ThetaFLOPs      = "flops"
	ThetaParameters = "parameters"
)

// depthLoss is L_depth of H-DAS eq. 2 and, with betas, eq. 4: a scalar, minus the sum over the
// stages of the mean depth of their cells. The depth of a cell is the mean over its candidates j
// of a_ij (d_j + 1), a_ij the weight of everything but "none" on the edge, 0 for both inputs; so
// the candidates of one cell do not compete. Eq. 2's sum starts at the first cell: its i = 0 would
// divide by zero. It reads the softmax that the forward pass prepared.
func (a *Arch) depthLoss() torch.Tensor {
	total := torch.Zeros(a.Store.Options())
	for _, d := range a.dags {
		if d.Stage < 0 {
			continue
		}
		carried := a.carried(d.Name, d.Ops)
		depth := make([]torch.Tensor, len(d.Nodes)) // of the cells; the inputs' is 0
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
			if beta, ok := a.beta[d.Name]; ok {
				// The cell that ends pair j, counted from 0, is i = j + MinCells - 1.
				if j := i + 1 - a.space.MinCells; j >= 0 {
					depth[i] = depth[i].Mul(beta.Select(0, int64(j)).MulScalar(float64(i)).AddScalar(1))
				}
			}
			sum = sum.Add(depth[i])
		}
		total = total.Sub(sum.MulScalar(1 / float64(len(d.Nodes))))
	}
	return total
}

// carried is, for every edge, the sum of the weights of the operations that are not null.
func (a *Arch) carried(dag string, candidates []string) torch.Tensor {
	mask := make([]float64, len(candidates))
	for k, op := range candidates {
		if !ops.IsNull(op) {
			mask[k] = 1
		}
	}
	o := a.Store.Options()
	m := torch.FromFloat64(mask, int64(len(mask))).To(o.DType).ToDevice(o.Device)
	return a.alpha[dag].Mul(m).SumDim(1)
}

// complexityLoss is L_comp of H-DAS eq. 5: a scalar, the sum over the stages of theta times the
// expected number of cells.
func (a *Arch) complexityLoss(theta []float64) torch.Tensor {
	o := a.Store.Options()
	total := torch.Zeros(o)
	for i := range a.space.Dense.Stages {
		beta, ok := a.beta[genotype.StageDAG(i)]
		if !ok {
			continue
		}
		cells := make([]float64, beta.Numel())
		for j := range cells {
			cells[j] = float64(j + a.space.MinCells)
		}
		n := torch.FromFloat64(cells, int64(len(cells))).To(o.DType).ToDevice(o.Device)
		total = total.Add(beta.Mul(n).Sum().MulScalar(theta[i]))
	}
	return total
}

// thetas are what one cell of each stage costs. FLOPs and parameters are divided by their mean
// over the stages, or they would swamp the other losses.
func thetas(kind string, p models.Plan) []float64 {
	theta := make([]float64, len(p.Stages))
	mean := 0.0
	for i, s := range p.Stages {
		switch cost := s.Cells[0].Cost; kind {
		case ThetaFLOPs:
			theta[i] = float64(cost.MACs)
		case ThetaParameters:
			theta[i] = float64(cost.Parameters)
		default:
			theta[i] = 1
		}
		mean += theta[i] / float64(len(theta))
	}
	for i := range theta {
		theta[i] /= mean
	}
	return theta
}
