"""Edges, and the DAG of operations that a cell is."""
import torch
from torch import nn

from . import ops


def undecided(dag):
    return any(op is None for node in dag["nodes"] for op, _ in node)


def edge(op, dag, c, stride, affine, pool_norm):
    """The module of an edge."""
    if op is not None:
        return ops.operation(op, c, stride, affine, pool_norm)
    if dag["share"] > 1:
        return ops.Partial(dag["candidates"], c, stride, dag["share"])
    return ops.Mixture(dag["candidates"], c, stride)


def edges(dag, c, stride_of, affine, pool_norm):
    """The modules of a DAG's edges, in order."""
    return nn.ModuleList(edge(op, dag, c, stride_of(state), affine, pool_norm) for node in dag["nodes"] for op, state in node)


def gather(dag, modules, i, states, weights):
    """What node i receives: the sum of its edges. Of a searched DAG weights are the operations' (edges,
    candidates), and the edges' own (edges) or None."""
    first = sum(len(node) for node in dag["nodes"][:i])
    total = 0
    for row, (op, state) in enumerate(dag["nodes"][i], first):
        if op is None:
            y = modules[row](states[state], weights[0][row])
            total = total + (y if weights[1] is None else weights[1][row] * y)
        else:
            total = total + modules[row](states[state])
    return total


class Cell(nn.Module):
    """A cell of c channels a node, on inputs of widths[0] and widths[1] channels. halve says of each input that it has twice
    the resolution at which the cell works."""

    def __init__(self, dag, widths, c, reduction, halve, pool_norm):
        super().__init__()
        self.dag, self.width = dag, c * len(dag["out"])
        affine = not undecided(dag)
        self.preprocess0, self.preprocess1 = [(ops.FactorizedReduce if h else ops.pointwise)(w, c, affine) for h, w in zip(halve, widths)]
        self._ops = edges(dag, c, lambda state: 2 if reduction and state < 2 else 1, affine, pool_norm)

    def forward(self, first, second, weights=None):
        states = [self.preprocess0(first), self.preprocess1(second)]
        for i in range(len(self.dag["nodes"])):
            states.append(gather(self.dag, self._ops, i, states, weights))
        return torch.cat([states[s] for s in self.dag["out"]], 1)
