"""The supernets of the searches, with the losses of their architectures (H-DAS eq. 2 to 6)."""
import torch
from torch.nn import functional

from . import cells, networks

# What a search has that does not say otherwise.
DEFAULTS = dict(min_cells=0, shared=False, partial_channels=1, edge_normalization=False, depth_weights="softmax")


def dense(name, nodes, window, out, candidates, share=1):
    """A DAG whose node i has an undecided edge from each of the `window` states before it."""
    return {"name": name, "candidates": candidates, "share": share, "out": out,
            "nodes": [[[None, state] for state in range(max(0, i + 2 - window), i + 2)] for i in range(nodes)]}


def supernet_of(net, search):
    """The description of a search's network: `net` is that of the cells that are given, `search` says what is searched."""
    net, kind = dict(net, auxiliary=False, pool_norm=True, wiring="summed", stages=[], pairs=[]), search["kind"]
    if kind in ("cell", "joint"):
        n = search["nodes"]
        names = ["normal1", "reduce1", "normal2", "reduce2", "normal3"] if search["stage_specific"] else ["normal", "reduce"]
        net["cells"] = {name: dense(name, n, n + 1, list(range(2, n + 2)), search["cell_primitives"], search["partial_channels"]) for name in names}
    if kind == "cell":
        return net
    for i, n in enumerate(search["lengths"]):
        own = {kind: kind if kind in net["cells"] else kind + str(i + 1) for kind in ("normal", "reduce")}
        stage = dense("stage%d" % (1 if search["shared"] else i + 1), n, search["window"], [n, n + 1], search["stage_primitives"])
        net["stages"].append(dict(stage, cell=own["normal"], reduce=own["reduce"] if i < len(search["lengths"]) - 1 else ""))
    if search["min_cells"]:
        # Pair j is the cells j+least-1 and j+least, counted from 1: the states j+least and j+least+1.
        net["pairs"] = [list(range(search["min_cells"], n + 1)) for n in search["lengths"]]
    return net


def by_node(dag, values):
    """The softmax of values (edges) over the edges of each node."""
    return torch.cat([v.softmax(0) for v in values.split([len(node) for node in dag["nodes"]])])


class Supernet:
    """weights is the network as a module; arch its architecture parameters by name: alpha.DAG (edges, candidates), beta.DAG
    (outputs) and edge.DAG (edges)."""

    def __init__(self, net, search):
        self.search = dict(DEFAULTS, **search)
        self.net = supernet_of(net, self.search)
        self.weights = networks.build(self.net)
        self.dags = {dag["name"]: dag for dag in [*self.net["cells"].values(), *self.net["stages"]] if cells.undecided(dag)}
        shapes = {"alpha." + name: (sum(map(len, dag["nodes"])), len(dag["candidates"])) for name, dag in self.dags.items()}
        shapes.update(("beta." + stage["name"], (len(pairs),)) for stage, pairs in zip(self.net["stages"], self.net["pairs"]))
        if self.search["edge_normalization"]:
            shapes.update(("edge." + name, (sum(map(len, dag["nodes"])),)) for name, dag in self.dags.items())
        self.arch = {name: torch.zeros(shape, requires_grad=True) for name, shape in shapes.items()}

    def softmax(self):
        """What the network's edges and outputs weigh."""
        arch = {name: beta.softmax(0) for name, beta in self.arch.items() if name.startswith("beta.")}
        for name, dag in self.dags.items():
            edge = self.arch.get("edge." + name)
            arch[name] = (self.arch["alpha." + name].softmax(1), edge if edge is None else by_node(dag, edge))
        return arch

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
        if self.net["stages"]:
            loss = loss + self.search["delta"] * self.depth()
        if self.net["pairs"]:
            loss = loss + self.search["gamma"] * self.complexity()
        return loss

    def carried(self, stage):
        """What every edge of a stage carries: the weight of all but `none`, times the edge's own; or, as the H-DAS authors have
        it, `raw`, the sum of its alphas, or `edge_softmax`, the softmax over a cell's edges of their largest alpha but `none`'s."""
        alpha, (weights, edge) = self.arch["alpha." + stage["name"]], self.softmax()[stage["name"]]
        carries = [k for k, name in enumerate(stage["candidates"]) if name != "none"]
        if self.search["depth_weights"] == "raw":
            return alpha.sum(1)
        if self.search["depth_weights"] == "edge_softmax":
            return by_node(stage, alpha[:, carries].amax(1))
        soft = weights[:, carries].sum(1)
        return soft if edge is None else soft * edge

    def depth(self):
        """Eq. 2, 4: minus the mean depth of each stage's cells."""
        soft, total = self.softmax(), 0
        for stage in self.net["stages"]:
            carried = iter(self.carried(stage))
            beta = soft.get("beta." + stage["name"])
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
        """Eq. 5 with a theta of one: the expected number of cells, of all stages."""
        soft, total = self.softmax(), 0
        for stage in self.net["stages"]:
            beta = soft["beta." + stage["name"]]
            total = total + sum((self.search["min_cells"] + j) * b for j, b in enumerate(beta))
        return total
