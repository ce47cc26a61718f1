"""The supernets of the three searches, with the losses of their architectures (H-DAS eq. 2 to 6)."""
import torch
from torch.nn import functional

from . import networks


def dense(nodes, window, out):
    """A DAG whose node i has an undecided edge from each of the `window` states before it."""
    return {"nodes": [[[None, state] for state in range(max(0, i + 2 - window), i + 2)] for i in range(nodes)], "out": out}


def supernet_of(net, search):
    """The description of a search's network: `net` is that of the cells that are given, `search` says what is searched."""
    net = dict(net, auxiliary=False, stages=[], pairs=[])
    if search["kind"] == "cell":
        n = search["nodes"]
        names = ["normal1", "reduce1", "normal2", "reduce2", "normal3"] if search["stage_specific"] else ["normal", "reduce"]
        return dict(net, candidates=search["cell_primitives"], pool_norm=True,
                    cells={name: dense(n, n + 1, list(range(2, n + 2))) for name in names})
    stages = len(search["lengths"])
    for i, n in enumerate(search["lengths"]):
        name = {kind: kind if kind in net["cells"] else kind + str(i + 1) for kind in ("normal", "reduce")}
        stage = dense(n, search["window"], [n, n + 1])
        net["stages"].append(dict(stage, cell=name["normal"], reduce=name["reduce"] if i < stages - 1 else ""))
    if search["kind"] == "distribution":
        # Pair j is the cells j+least-1 and j+least, counted from 1: the states j+least and j+least+1.
        net["pairs"] = [list(range(search["min_cells"], n + 1)) for n in search["lengths"]]
    return dict(net, candidates=search["stage_primitives"], pool_norm=True)


class Supernet:
    """weights is the network as a module; arch its architecture parameters by name."""

    def __init__(self, net, search):
        self.search, self.net = search, supernet_of(net, search)
        self.weights = networks.build(self.net)
        self.arch = {}
        searched = dict(self.net["cells"]) if search["kind"] == "cell" else {"stage%d" % (i + 1): s for i, s in enumerate(self.net["stages"])}
        for name, dag in searched.items():
            self.arch["alpha." + name] = torch.zeros(sum(map(len, dag["nodes"])), len(self.net["candidates"]))
        for i, pairs in enumerate(self.net["pairs"]):
            self.arch["beta.stage%d" % (i + 1)] = torch.zeros(len(pairs))
        for parameter in self.arch.values():
            parameter.requires_grad_()

    def softmax(self):
        return {name: parameter.softmax(-1) for name, parameter in self.arch.items()}

    def logits(self, images, parameters=None):
        """With the given parameters, by name, in the place of the network's own."""
        if parameters is None:
            return self.weights(images, self.softmax())[0]
        return torch.func.functional_call(self.weights, parameters, (images, self.softmax()))[0]

    def training_loss(self, images, labels):
        return functional.cross_entropy(self.logits(images), labels)

    def arch_loss(self, images, labels, parameters=None):
        """Cross-entropy + delta * depth + gamma * complexity (eq. 6)."""
        loss = functional.cross_entropy(self.logits(images, parameters), labels)
        if self.search["kind"] != "cell":
            loss = loss + self.search["delta"] * self.depth()
        if self.search["kind"] == "distribution":
            loss = loss + self.search["gamma"] * self.complexity()
        return loss

    def depth(self):
        """Eq. 2, 4: minus the mean depth of each stage's cells. An edge carries the weight of all but `none`."""
        soft, total = self.softmax(), 0
        carries = torch.tensor([float(name != "none") for name in self.net["candidates"]])
        for s, stage in enumerate(self.net["stages"]):
            carried = iter(soft["alpha.stage%d" % (s + 1)] @ carries)
            beta = soft.get("beta.stage%d" % (s + 1))
            depths = [0, 0]
            for i, node in enumerate(stage["nodes"]):
                depth = sum(next(carried) * (depths[state] + 1 if state >= 2 else 1) for _, state in node) / len(node)
                j = i - self.search["min_cells"] + 1
                if beta is not None and j >= 0:
                    depth = depth * (1 + i * beta[j])
                depths.append(depth)
            total = total - sum(depths) / len(stage["nodes"])
        return total

    def complexity(self):
        """Eq. 5: the expected number of cells of each stage, times what one of them costs."""
        soft, total = self.softmax(), 0
        for s, theta in enumerate(self.search["thetas"]):
            beta = soft["beta.stage%d" % (s + 1)]
            total = total + theta * sum((self.search["min_cells"] + j) * b for j, b in enumerate(beta))
        return total
