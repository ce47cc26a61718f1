"""Edges, and the DAG of operations that a cell is."""
import torch
from torch import nn

from . import ops


def undecided(dag):
    return any(op is None for node in dag["nodes"] for op, _ in node)


def edges(dag, c, stride_of, affine, pool_norm, candidates):
    """The modules of a DAG's edges, in order."""
    made = nn.ModuleList()
    for node in dag["nodes"]:
        for op, state in node:
            stride = stride_of(state)
            made.append(ops.Mixture(candidates, c, stride) if op is None else ops.operation(op, c, stride, affine, pool_norm))
    return made


def gather(dag, modules, i, states, weights):
    """What node i receives: the sum of its edges. weights has a row for every edge of a searched DAG."""
    first = sum(len(node) for node in dag["nodes"][:i])
    total = 0
    for row, (op, state) in enumerate(dag["nodes"][i], first):
        if op is None:
            total = total + modules[row](states[state], weights[row])
        else:
            total = total + modules[row](states[state])
    return total


class Cell(nn.Module):
    """A cell of c channels a node, on inputs of widths[0] and widths[1] channels. halve: the first input has twice the
    resolution of the second."""

    def __init__(self, dag, widths, c, reduction, halve, pool_norm, candidates=()):
        super().__init__()
        self.dag, self.width = dag, c * len(dag["out"])
        affine = not undecided(dag)
        read = ops.FactorizedReduce if halve else ops.pointwise
        self.preprocess0 = read(widths[0], c, affine)
        self.preprocess1 = ops.pointwise(widths[1], c, affine)
        self._ops = edges(dag, c, lambda state: 2 if reduction and state < 2 else 1, affine, pool_norm, candidates)

    def forward(self, first, second, weights=None):
        states = [self.preprocess0(first), self.preprocess1(second)]
        for i in range(len(self.dag["nodes"])):
            states.append(gather(self.dag, self._ops, i, states, weights))
        return torch.cat([states[s] for s in self.dag["out"]], 1)
