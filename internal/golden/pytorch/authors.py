"""The program of the authors of H-DAS (msight-tech/research-hdas), read from a user's checkout and called as it is: networks with stages,
and the supernets of the stage and the distribution search. It is under CC BY-NC, and nothing of it is here."""
import pathlib
import re
import sys
import types

import torch
from torch import nn
from torch.nn import functional

# Columns of their alphas are max_pool_3x3, avg_pool_3x3, skip_connect, none; those of hdas are none, skip_connect, max_pool_3x3, avg_pool_3x3.
COLUMNS = [3, 2, 0, 1]


def hdas(name, all=()):
    """A name of the H-DAS authors' state dicts as the twin's; None for what is no parameter of the network. all are the names of the
    state dict, which tell the norm of a FactorizedReduce from that of a pooling."""
    name = re.sub(r"^net\.", "", name)
    for pattern, to in (
        (r"(stem\..*)", r"\1"),
        (r"linear\.(.*)", r"classifier.\1"),
        (r"aux_head\.net\.(.*)", r"auxiliary_head.features.\1"),
        (r"aux_head\.linear\.(.*)", r"auxiliary_head.classifier.\1"),
        (r"bigDAG(\d)\.preproc(\d)\.net\.(.*)", lambda m: "stages.%d.preprocess%s.op.%s" % (int(m[1]) - 1, m[2], m[3])),
        (r"bigDAG(\d)\.bigDAG\.(\d)\.(\d)\.0\.bn\.(.*)", lambda m: "stages.%d._ops.%d.1.%s" % (int(m[1]) - 1, 2 * int(m[2]) + int(m[3]), m[4])),
        (r"bigDAG(\d)\.DAG\.(\d)\.(\d)\._ops\.([01])\.bn\.(.*)", lambda m: "stages.%d._ops.%d._ops.%d.1.%s" % (
            int(m[1]) - 1, max(0, 3 * int(m[2]) - 1) + int(m[3]), 2 + int(m[4]), m[5])),
        (r"cells\.(\d+)\.preproc(\d)\.net\.(.*)", r"cells.\1.preprocess\2.op.\3"),
        (r"cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.net\.(\d)\.net\.(\d)\.(.*)", lambda m: "cells.%s._ops.%d.op.%d.%s" % (
            m[1], 2 * int(m[2]) + int(m[3]), 4 * int(m[4]) + int(m[5]), m[6])),
        # A dilated convolution has one group of layers, a separable one two.
        (r"cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.net\.(\d)\.(\w+)", lambda m: "cells.%s._ops.%d.op.%s.%s" % (
            m[1], 2 * int(m[2]) + int(m[3]), m[4], m[5])),
        (r"cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.conv([12])\.(.*)", lambda m: "cells.%s._ops.%d.conv_%s.%s" % (
            m[1], 2 * int(m[2]) + int(m[3]), m[4], m[5])),
        (r"(cells\.(\d+)\.dag\.(\d)\.(\d)\.0\.)bn\.(.*)", lambda m: "cells.%s._ops.%d.%s.%s" % (
            m[2], 2 * int(m[3]) + int(m[4]), "bn" if any(other.endswith(m[1] + "conv1.weight") for other in all) else "1", m[5])),
    ):
        m = re.fullmatch(pattern, name)
        if m:
            return to(m) if callable(to) else m.expand(to)
    return None


def stages(matrices, lengths):
    """Their alphas, a matrix for each cell of all stages, as hdas has them: one for each stage, with its columns."""
    found, first = {}, 0
    for s, n in enumerate(lengths):
        found["alpha.stage%d" % (s + 1)] = torch.cat(list(matrices[first:first + n]))[:, COLUMNS]
        first += n
    return found


class Renamed(nn.Module):
    """A network of theirs under the names of hdas."""

    def __init__(self, inner):
        super().__init__()
        self.__dict__["inner"] = inner  # no submodule, so that its names are not this module's
        self.names = {name: hdas(name, dict(inner.named_parameters())) for name, _ in list(inner.named_parameters()) + list(inner.named_buffers())}
        unknown = [name for name, to in self.names.items() if to is None and not name.endswith("num_batches_tracked")]
        if unknown:
            sys.exit("parameters of the checkout whose place is not known: %s" % unknown)

    def renamed(self, pairs):
        return [(self.names[name], value) for name, value in pairs if self.names.get(name)]

    def named_parameters(self, *_, **__):
        return iter(self.renamed(self.inner.named_parameters()))

    def parameters(self, *_, **__):
        return iter([p for _, p in self.named_parameters()])

    def named_buffers(self, *_, **__):
        return iter([(name, b) for name, b in self.renamed(self.inner.named_buffers()) if not name.endswith("num_batches_tracked")])

    def load_state_dict(self, state, strict=True):
        own = dict(list(self.named_parameters()) + list(self.named_buffers()))
        with torch.no_grad():
            for name in own.keys() & state.keys():
                own[name].copy_(state[name])
        return sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())

    def to(self, device):
        self.inner.to(device)
        return self

    def train(self, mode=True):
        self.inner.train(mode)
        return self

    def zero_grad(self, *_, **__):
        self.inner.zero_grad()

    def forward(self, images):
        return self.inner(images)


class Authors:
    """Their networks. What the faults of their search change is in the notes: alpha's gradient is compared at the current weights, for which
    their program is called there."""

    def __init__(self, checkout, device):
        self.notes, self.device, self.checkout = [], device, pathlib.Path(checkout).resolve()
        sys.path.insert(0, str(self.checkout))
        for name in ("graphviz", "tensorboardX"):  # they draw and log, which nothing here does
            if name not in sys.modules:
                module = types.ModuleType(name)
                module.Digraph = module.SummaryWriter = object
                sys.modules[name] = module
        import genotypes
        from models import architect, augment_stage, search_stage
        for module in (genotypes, architect, augment_stage, search_stage):
            if self.checkout not in pathlib.Path(module.__file__).resolve().parents:
                sys.exit("%s was imported in the place of the checkout's" % module.__file__)
        self.genotypes, self.architect, self.augment_stage, self.search_stage = genotypes, architect, augment_stage, search_stage

    def cells(self, net):
        def nodes(name):
            return [[(op, state) for op, state in node] for node in net["cells"][name]["nodes"]]
        def out(name):
            return range(net["cells"][name]["out"][0], net["cells"][name]["out"][-1] + 1)
        return self.genotypes.Genotype(nodes("normal"), out("normal"), nodes("reduce"), out("reduce"))

    def derived(self, net):
        dags = {}
        for i, s in enumerate(net["stages"], 1):
            dags["DAG%d" % i] = [[(op, state) for op, state in node] for node in s["nodes"]]
            dags["DAG%d_concat" % i] = range(s["out"][0], s["out"][-1] + 1)
        layers = sum(len(s["nodes"]) for s in net["stages"]) + len(net["stages"]) - 1
        return Renamed(self.augment_stage.AugmentStage(32, 3, net["channels"], net["classes"], layers, True, self.cells(net), self.genotypes.Genotype2(**dags)))

    def controller(self, net, search):
        kind = {"stage": self.search_stage.SearchStageController, "distribution": self.search_stage.SearchDistributionController}[search["kind"]]
        return kind(3, net["channels"], net["classes"], sum(search["lengths"]) + 2, nn.CrossEntropyLoss(), self.cells(net), device_ids=[0]).to(self.device)

    def supernet(self, net, search):
        ours, lengths = self.controller(net, search), search["lengths"]
        s = types.SimpleNamespace(weights=Renamed(ours.net), lengths=lengths, theirs=ours, asked=None)
        s.arch = {name: nn.Parameter(a.detach().clone()) for name, a in stages(ours.alpha_DAG, lengths).items()}
        if search["kind"] == "distribution":
            s.arch.update({"beta.stage%d" % (i + 1): nn.Parameter(b.detach().flatten().clone()) for i, b in enumerate(ours.alpha_concat)})

        def logits(images):
            """Their supernet with the architecture parameters of s.arch."""
            dag = []
            for i, n in enumerate(lengths):
                alpha, row = s.arch["alpha.stage%d" % (i + 1)], 0
                for cell in range(n):
                    states = min(cell + 2, search["window"])
                    dag.append(functional.softmax(alpha[row:row + states][:, [COLUMNS.index(k) for k in range(len(COLUMNS))]], dim=-1))
                    row += states
            betas = [functional.softmax(s.arch[name].view(-1, 1), dim=0) for name in s.arch if name.startswith("beta.")]
            return ours.net(images, dag, *([betas] if betas else []))

        s.logits = logits
        s.training_loss = lambda images, labels: functional.cross_entropy(logits(images), labels)
        return s

    def adam(self, supernet, alpha):
        return torch.optim.Adam(supernet.arch.values(), alpha["lr"], (alpha["beta1"], alpha["beta2"]), weight_decay=alpha["weight_decay"])

    def step(self, supernet, order, adam, sgd, task, train, valid):
        grads = torch.autograd.grad(supernet.training_loss(*valid), list(supernet.arch.values()))
        for p, g in zip(supernet.arch.values(), grads):
            p.grad = g.clone()
        adam.step()
        sgd.zero_grad()
        loss = supernet.training_loss(*train)
        loss.backward(inputs=list(supernet.weights.parameters()))
        nn.utils.clip_grad_norm_(supernet.weights.parameters(), task["weights"]["clip"])
        sgd.step()
        return [g.clone() for g in grads], loss.detach()

    def faults(self, steps):
        """Notes how far the gradient of their Architect is from that at the current point, in steps of which each is given as a supernet at
        its current point, with the rate and the two halves of the batch."""
        found = []
        for supernet, rate, train, valid in steps:
            ours = supernet.theirs
            with torch.no_grad():  # their controller gets the architecture parameters of now
                at = 0
                for i, n in enumerate(supernet.lengths):
                    row = 0
                    for a in list(ours.alpha_DAG)[at:at + n]:
                        a[:, COLUMNS] = supernet.arch["alpha.stage%d" % (i + 1)][row:row + len(a)]
                        row += len(a)
                    at += n
                for i, b in enumerate(getattr(ours, "alpha_concat", [])):
                    b.copy_(supernet.arch["beta.stage%d" % (i + 1)].view(-1, 1))
            if not found:  # it copies the network when it is made
                architect = self.architect.Architect(ours, 0.9, 0)
            architect.unrolled_backward(*train, *valid, rate, None)
            theirs = stages([a.grad for a in ours.alpha_DAG], supernet.lengths)
            buffers = [b.clone() for _, b in supernet.weights.named_buffers()]
            right = torch.autograd.grad(supernet.training_loss(*valid), [supernet.arch[name] for name in theirs])
            with torch.no_grad():  # the pass moved the running statistics
                for (_, b), was in zip(supernet.weights.named_buffers(), buffers):
                    b.copy_(was)
            found.append(max(float((theirs[name] - g).abs().max() / g.abs().max()) for name, g in zip(theirs, right)))
        self.notes.append("a fault of the authors' program: its Architect computes alpha's gradient on a copy of the network that keeps its first weights; it differs from that"
                          " at the current point by %s of the largest value; compared below is the one at the current point, by the authors' network" % ", ".join(
                              "%.1g in step %d" % (worst, i + 1) for i, worst in enumerate(found)))
        self.notes.append("a fault of the authors' program: its trainer takes a separate step of Adam for the depth loss; it is left out here on both sides (delta and gamma are 0)")
