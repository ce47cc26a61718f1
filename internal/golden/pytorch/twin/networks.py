"""Networks of a chain of cells (DARTS, Hc-DAS) and of stages of cells (Hs-DAS), in the summed wiring and the paired one.

All take the description `net`: preset (cifar, imagenet), channels, classes, auxiliary, pool_norm, cells (DAGs by name), layers
(of a chain) or stages (DAGs with the names of their cells, cell and reduce), their wiring, stage_output (of the paired wiring) and
pairs (for each stage, the first states of the outputs to choose from); and give logits and the auxiliary head's, None in
evaluation. `arch` has the weights of every searched DAG, and of outputs, by name.
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
        widths, halve, stage = [wide, wide], [imagenet, False], 1
        self.cells, self.names = nn.ModuleList(), []
        for i in range(layers):
            reduction = i in self.reductions
            kind = "reduce" if reduction else "normal"
            # Hc-DAS: each stage, and each reduction, has a cell of its own.
            self.names.append(kind + str(stage) if kind + str(stage) in net["cells"] else kind)
            if reduction:
                c, stage = 2 * c, stage + 1
            cell = cells.Cell(net["cells"][self.names[-1]], widths, c, reduction, halve, net["pool_norm"])
            self.cells.append(cell)
            widths, halve = [widths[1], cell.width], [reduction, False]
            if i == self.reductions[1]:
                auxiliary_width = cell.width
        self.make_heads(net, auxiliary_width, widths[1])

    def forward(self, x, arch={}):
        first, second = self.read(x)
        aux = None
        for i, cell in enumerate(self.cells):
            first, second = second, cell(first, second, arch.get(self.names[i]))
            if i == self.reductions[1]:
                aux = self.auxiliary(second)
        return self.classify(second), aux


class Stage(nn.Module):
    """The parameters of a stage besides its cells': its two readings of its input, and its edges."""

    def __init__(self, dag, inputs, width):
        super().__init__()
        affine = not cells.undecided(dag)
        self.preprocess0 = ops.pointwise(inputs, width, affine)
        self.preprocess1 = ops.pointwise(inputs, width, affine)
        self._ops = cells.edges(dag, width, lambda state: 1, affine, True)


class Staged(Network):
    """Stages of cells: a cell receives the sum of its edges twice; the output is the concatenation of the last two cells, or
    the sum of several such pairs, weighed (H-DAS eq. 3); a reduction cell joins two stages."""

    def __init__(self, net):
        super().__init__()
        self.dags, self.pairs, self.names = net["stages"], net["pairs"], []
        c = net["channels"]
        width = c * len(net["cells"][self.dags[0]["cell"]]["out"])
        self.make_stem(net, width)
        self.stages, self.cells = nn.ModuleList(), nn.ModuleList()

        def add(name, inputs, reduction):
            self.names.append(name)
            self.cells.append(cells.Cell(net["cells"][name], [inputs, inputs], c, reduction, [False, False], net["pool_norm"]))
            return self.cells[-1].width

        inputs = width
        for i, dag in enumerate(self.dags):
            width = c * len(net["cells"][dag["cell"]]["out"])
            self.stages.append(Stage(dag, inputs, width))
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
        remaining, aux = zip(self.names, self.cells), None

        def cell(x):
            name, module = next(remaining)
            return module(x, x, arch.get(name))

        for i, (dag, stage) in enumerate(zip(self.dags, self.stages)):
            states = [stage.preprocess0(x), stage.preprocess1(x)]
            for n in range(len(dag["nodes"])):
                x = cells.gather(dag, stage._ops, n, states, arch.get(dag.get("name")))
                states.append(cell(x))
            x = self.output(i, states, arch.get("beta.%s" % dag.get("name")))
            if dag["reduce"]:
                x = cell(x)
            if i == len(self.dags) - 2:
                aux = self.auxiliary(x)
        return self.classify(x), aux

    def output(self, i, states, weights):
        if weights is None:
            return torch.cat([states[s] for s in self.dags[i]["out"]], 1)
        return sum(w * torch.cat([states[first], states[first + 1]], 1) for w, first in zip(weights, self.pairs[i]))


class PairedStage(nn.Module):
    """The edges of a stage in the paired wiring, each at its source's width."""

    def __init__(self, dag, widths, pool_norm):
        super().__init__()
        self._ops = nn.ModuleList(ops.operation(op, widths[state], 1, True, pool_norm) for node in dag["nodes"] for op, state in node)


class Paired(Network):
    """Stages whose cells' inputs are an edge each, in the order of the states that they come from, so that a chain of skips is
    the Chain. State 0 of a stage is at twice its resolution: the last cell before the reduction cell, whose output is state 1."""

    def __init__(self, net):
        super().__init__()
        self.dags, self.last = net["stages"], net["stage_output"] == "last"
        c, imagenet = net["channels"], net["preset"] == "imagenet"
        wide = c if imagenet else 3 * c
        self.make_stem(net, wide)
        self.stages, self.cells = nn.ModuleList(), nn.ModuleList()
        first, second, finer = wide, wide, imagenet
        for i, dag in enumerate(self.dags):
            widths = [first, second] + [c * len(net["cells"][dag["cell"]]["out"])] * len(dag["nodes"])
            self.stages.append(PairedStage(dag, widths, net["pool_norm"]))

            def add(name, widths, reduction, halve):
                self.cells.append(cells.Cell(net["cells"][name], widths, c, reduction, halve, net["pool_norm"]))
                return self.cells[-1].width

            for n in range(len(dag["nodes"])):
                read = [state for _, state in self.inputs(i, n)]
                add(dag["cell"], [widths[state] for state in read], False, [finer and state == 0 for state in read])
            handed = [sum(widths[s] for s in states) for states in self.handed(i)]
            first, second = widths[-1], handed[1]
            if dag["reduce"]:
                c *= 2
                second = add(dag["reduce"], handed, True, [False, False])
            finer = True
            if i == len(self.dags) - 2:
                auxiliary_width = second
        self.make_heads(net, auxiliary_width, second)

    def inputs(self, i, n):
        """The edges that feed the inputs of cell n, as (number, state); a single one feeds both."""
        nodes = self.dags[i]["nodes"]
        number = sum(map(len, nodes[:n]))
        found = sorted(((number + k, state) for k, (_, state) in enumerate(nodes[n])), key=lambda edge: edge[1])
        return [found[0], found[-1]]

    def handed(self, i):
        """The states whose concatenations the reduction cell after a stage reads, and the head the second of."""
        end = len(self.dags[i]["nodes"]) + 1
        return [[end - 1], [end]] if self.last else [self.dags[i]["out"]] * 2

    def forward(self, x):
        first, second = self.read(x)
        remaining, aux = iter(self.cells), None
        for i, (dag, stage) in enumerate(zip(self.dags, self.stages)):
            states = [first, second]
            for n in range(len(dag["nodes"])):
                read = self.inputs(i, n)
                made = {number: stage._ops[number](states[state]) for number, state in read}
                states.append(next(remaining)(*[made[number] for number, _ in read]))
            handed = [torch.cat([states[s] for s in read], 1) for read in self.handed(i)]
            first, second = states[-1], next(remaining)(*handed) if dag["reduce"] else handed[1]
            if i == len(self.dags) - 2:
                aux = self.auxiliary(second)
        return self.classify(second), aux


def build(net):
    if not net["stages"]:
        return Chain(net)
    return Paired(net) if net["wiring"] == "paired" else Staged(net)
