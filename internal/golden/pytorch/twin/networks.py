"""Networks of a chain of cells (DARTS, Hc-DAS) and of stages of cells, in the summed wiring (Hs-DAS).

Both take the description `net`: preset (cifar, imagenet), channels, classes, auxiliary, pool_norm, cells (DAGs by name), layers
(of a chain) or stages (DAGs with the names of their cells), candidates (of undecided edges), pairs (for each stage, the first states of the outputs to choose from), and
give logits and the auxiliary head's, None in evaluation. `arch` has the softmax of every architecture parameter.
"""
import torch
from torch import nn

from . import cells, ops


def stem(c, stride=1):
    return [ops.conv(3, c, 3, stride=stride, padding=1), ops.norm(c)]


def imagenet_stems(c, wide):
    first = stem(c // 2, 2) + [nn.ReLU(), ops.conv(c // 2, c, 3, stride=2, padding=1), ops.norm(c)]
    second = [nn.ReLU(), ops.conv(c, wide, 3, stride=2, padding=1), ops.norm(wide)]
    return nn.Sequential(*first), nn.Sequential(*second)


class AuxiliaryHead(nn.Module):
    """Classifies the 8x8 (CIFAR) or 7x7 (ImageNet, where DARTS leaves out the last norm) features of the second reduction."""

    def __init__(self, preset, c, classes):
        super().__init__()
        cifar = preset == "cifar"
        layers = [nn.ReLU(), nn.AvgPool2d(5, 3 if cifar else 2, count_include_pad=False),
                  ops.conv(c, 128, 1), ops.norm(128), nn.ReLU(), ops.conv(128, 768, 2)]
        self.features = nn.Sequential(*layers, *([ops.norm(768)] if cifar else []), nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Network(nn.Module):
    """What chains and stages share: the stems, the head and the auxiliary head."""

    def make_stem(self, net, wide):
        if net["preset"] == "cifar":
            self.stem = nn.Sequential(*stem(wide))
        else:
            self.stem0, self.stem1 = imagenet_stems(net["channels"], wide)

    def make_heads(self, net, auxiliary_width, width):
        self.auxiliary_head = AuxiliaryHead(net["preset"], auxiliary_width, net["classes"]) if net["auxiliary"] else None
        self.classifier = nn.Linear(width, net["classes"])

    def read(self, x):
        """The two states that the cells start from."""
        if hasattr(self, "stem"):
            x = self.stem(x)
            return x, x
        x = self.stem0(x)
        return x, self.stem1(x)

    def auxiliary(self, x):
        return self.auxiliary_head(x) if self.training and self.auxiliary_head is not None else None

    def classify(self, x):
        return self.classifier(x.mean((2, 3)))


class Chain(Network):
    """Cells in a row, each fed by the last two; those at a third and two thirds are reduction cells."""

    def __init__(self, net):
        super().__init__()
        c, layers, imagenet = net["channels"], net["layers"], net["preset"] == "imagenet"
        self.reductions = [layers // 3, 2 * layers // 3]
        wide = c if imagenet else 3 * c
        self.make_stem(net, wide)
        widths, halve, stage = [wide, wide], imagenet, 1
        self.cells, self.names = nn.ModuleList(), []
        for i in range(layers):
            reduction = i in self.reductions
            kind = "reduce" if reduction else "normal"
            # Hc-DAS: each stage, and each reduction, has a cell of its own.
            self.names.append(kind + str(stage) if kind + str(stage) in net["cells"] else kind)
            if reduction:
                c, stage = 2 * c, stage + 1
            cell = cells.Cell(net["cells"][self.names[-1]], widths, c, reduction, halve, net["pool_norm"], net["candidates"])
            self.cells.append(cell)
            widths, halve = [widths[1], cell.width], reduction
            if i == self.reductions[1]:
                auxiliary_width = cell.width
        self.make_heads(net, auxiliary_width, widths[1])

    def forward(self, x, arch={}):
        first, second = self.read(x)
        aux = None
        for i, cell in enumerate(self.cells):
            first, second = second, cell(first, second, arch.get("alpha." + self.names[i]))
            if i == self.reductions[1]:
                aux = self.auxiliary(second)
        return self.classify(second), aux


class Stage(nn.Module):
    """The parameters of a stage besides its cells': its two readings of its input, and its edges."""

    def __init__(self, dag, inputs, width, candidates):
        super().__init__()
        affine = not cells.undecided(dag)
        self.preprocess0 = ops.pointwise(inputs, width, affine)
        self.preprocess1 = ops.pointwise(inputs, width, affine)
        self._ops = cells.edges(dag, width, lambda state: 1, affine, True, candidates)


class Staged(Network):
    """Stages of cells: a cell receives the sum of its edges twice; the output is the concatenation of the last two cells, or
    the sum of several such pairs, weighed (H-DAS eq. 3); a reduction cell joins two stages."""

    def __init__(self, net):
        super().__init__()
        self.dags, self.pairs = net["stages"], net["pairs"]
        c = net["channels"]
        width = c * len(net["cells"][self.dags[0]["cell"]]["out"])
        self.make_stem(net, width)
        self.stages, self.cells = nn.ModuleList(), nn.ModuleList()

        def add(name, inputs, reduction):
            self.cells.append(cells.Cell(net["cells"][name], [inputs, inputs], c, reduction, False, net["pool_norm"]))
            return self.cells[-1].width

        inputs = width
        for i, dag in enumerate(self.dags):
            width = c * len(net["cells"][dag["cell"]]["out"])
            self.stages.append(Stage(dag, inputs, width, net["candidates"]))
            for _ in dag["nodes"]:
                add(dag["cell"], width, False)
            inputs = 2 * width
            if dag["reduce"]:
                c *= 2
                inputs = add(dag["reduce"], inputs, True)
            if i == len(self.dags) - 2:
                auxiliary_width = inputs
        self.make_heads(net, auxiliary_width, inputs)

    def forward(self, x, arch={}):
        _, x = self.read(x)
        remaining, aux = iter(self.cells), None
        for i, (dag, stage) in enumerate(zip(self.dags, self.stages)):
            states = [stage.preprocess0(x), stage.preprocess1(x)]
            for n in range(len(dag["nodes"])):
                x = cells.gather(dag, stage._ops, n, states, arch.get("alpha.stage%d" % (i + 1)))
                states.append(next(remaining)(x, x))
            x = self.output(i, states, arch.get("beta.stage%d" % (i + 1)))
            if dag["reduce"]:
                x = next(remaining)(x, x)
            if i == len(self.dags) - 2:
                aux = self.auxiliary(x)
        return self.classify(x), aux

    def output(self, i, states, weights):
        if weights is None:
            return torch.cat([states[s] for s in self.dags[i]["out"]], 1)
        return sum(w * torch.cat([states[first], states[first + 1]], 1) for w, first in zip(weights, self.pairs[i]))


def build(net):
    return Staged(net) if net["stages"] else Chain(net)
