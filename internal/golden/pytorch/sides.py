"""The PyTorch programs that hdas is compared with, behind one face: the twin, and checkouts of quark0/darts and of the H-DAS authors'
program (authors.py) as they are."""
import contextlib
import os
import pathlib
import sys
import types
import warnings

import torch
from torch import nn

import authors
from twin import bilevel, networks, supernets


class Twin:
    """Our own: every network and search."""
    notes = ()

    def derived(self, net):
        return networks.build(net)

    def supernet(self, net, search):
        return supernets.Supernet(net, search)

    def step(self, supernet, order, adam, sgd, task, train, valid):
        hyper = {"first": bilevel.first_order, "second": bilevel.second_order}[order]
        return bilevel.step(supernet, hyper, adam, sgd, task["weights"]["clip"], train, valid)

    def adam(self, supernet, alpha):
        return torch.optim.Adam(supernet.arch.values(), alpha["lr"], (alpha["beta1"], alpha["beta2"]), weight_decay=alpha["weight_decay"])


class Darts:
    """quark0/darts, unmodified, of 2018: chains of `normal` and `reduce` cells, and their search. Its `cuda` leads to
    the device of the comparison; what it needs of torchvision and of an old PyTorch is stood in for from here."""

    def __init__(self, checkout, device):
        self.notes = []  # where the comparison departs from the checkout
        folder = pathlib.Path(checkout) / "cnn"
        sys.path.insert(0, str(folder))
        warnings.filterwarnings("ignore", message=".*This overload of .* is deprecated")
        for kind in (torch.Tensor, nn.Module):
            kind.cuda = lambda self, *_, **__: self.to(device)
        # Its utils import torchvision for data alone, which nothing here reads.
        for name in ("torchvision", "torchvision.transforms", "torchvision.datasets"):
            sys.modules.setdefault(name, types.ModuleType(name))
        sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
        sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"]
        import architect
        import genotypes
        import model
        import model_search
        for module in (architect, genotypes, model, model_search):
            if pathlib.Path(module.__file__).resolve().parent != folder.resolve():
                sys.exit("%s was imported in the place of the checkout's" % module.__file__)
        self.architect, self.genotypes, self.model, self.model_search = architect, genotypes, model, model_search

    def derived(self, net):
        def flat(name):
            return [(op, state) for node in net["cells"][name]["nodes"] for op, state in node]
        genotype = self.genotypes.Genotype(flat("normal"), net["cells"]["normal"]["out"], flat("reduce"), net["cells"]["reduce"]["out"])
        kind = {"cifar": self.model.NetworkCIFAR, "imagenet": self.model.NetworkImageNet}[net["preset"]]
        with silent():
            network = kind(net["channels"], net["classes"], net["layers"], net["auxiliary"], genotype)
        network.drop_path_prob = 0
        if net["auxiliary"] and 2 * net["layers"] // 3 == net["layers"] - 1:
            # In deeper networks every reader of that output applies a ReLU first, so that nothing changes.
            network.auxiliary_head.features[0].inplace = False
            self.notes.append("in networks of two and three cells, the auxiliary head of quark0/darts applies its ReLU in place to the output of the"
                              " last cell and so changes the main logits of the training; compared is the program with that ReLU not in place")
        return network

    def supernet(self, net, search):
        with silent():
            network = self.model_search.Network(net["channels"], net["classes"], net["layers"], nn.CrossEntropyLoss(), steps=search["nodes"])
        s = types.SimpleNamespace(weights=network, logits=network, training_loss=network._loss)
        s.arch = {"alpha.normal": network.alphas_normal, "alpha.reduce": network.alphas_reduce}
        return s

    def adam(self, supernet, alpha):
        """Its Architect makes the optimizer."""
        supernet.alpha = alpha
        return None

    def step(self, supernet, order, adam, sgd, task, train, valid):
        if not hasattr(supernet, "architect"):
            w, a = task["weights"], supernet.alpha
            supernet.architect = self.architect.Architect(supernet.weights, types.SimpleNamespace(
                momentum=w["momentum"], weight_decay=w["weight_decay"], arch_learning_rate=a["lr"], arch_weight_decay=a["weight_decay"]))
        rate = sgd.param_groups[0]["lr"]
        supernet.architect.step(*train, *valid, rate, sgd, unrolled=order == "second")
        grads = [p.grad.clone() for p in supernet.arch.values()]
        sgd.zero_grad()
        loss = supernet.training_loss(*train)
        loss.backward()
        nn.utils.clip_grad_norm_(supernet.weights.parameters(), task["weights"]["clip"])
        sgd.step()
        return grads, loss.detach()


def of(reference, device):
    """The checkout in that folder, on a device; without a folder the twin."""
    if not reference:
        return Twin()
    if (pathlib.Path(reference) / "models" / "search_stage.py").exists():
        return authors.Authors(reference, device)
    return Darts(reference, device)


@contextlib.contextmanager
def silent():
    """Without the channel numbers that the reference prints."""
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        yield
