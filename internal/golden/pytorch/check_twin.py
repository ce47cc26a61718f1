#!/usr/bin/env python3
"""Checks the twin against the numbers that were measured on the reference programs (internal/golden/data), in float64."""
import pathlib
import re
import sys

import torch
import yaml
from safetensors.torch import load_file
from torch.nn import functional

from authors import hdas, stages
from twin import bilevel, networks, supernets

HERE = pathlib.Path(__file__).resolve().parent
DATA, GENOTYPES = HERE.parent / "data", HERE.parents[2] / "models" / "genotype" / "published"
CELL = "none max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5".split()
STAGE = "none skip_connect max_pool_3x3 avg_pool_3x3".split()

worst = {}


def check(group, name, got, want):
    error = float((got - want).abs().max() / want.abs().max())
    if not error <= worst.get(group, (-1, ""))[0]:
        worst[group] = (error, name)


def dag(d):
    return dict(d, nodes=[[list(edge.items())[0] for edge in node] for node in d["nodes"]])


def published(name):
    g = yaml.safe_load((GENOTYPES / (name + ".yaml")).read_text())
    return {name: dag(d) for name, d in g.get("cells", {}).items()}, [dict(dag(s), reduce=s.get("reduce", "")) for s in g.get("stages", [])]


def describe(cells, stages=(), **other):
    net = dict(preset="cifar", channels=4, layers=8, classes=10, auxiliary=True, pool_norm=bool(stages), wiring="summed", pairs=[])
    return dict(net, cells=cells, stages=list(stages), **other)


def fill(module, tensors, rename):
    state = {rename(name[6:]): value for name, value in tensors.items() if name.startswith("state.")}
    state.pop(None, None)
    missing, surplus = module.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.endswith("num_batches_tracked")] + surplus
    if left:
        sys.exit("check_twin: the twin's parameters are not the reference's: %s" % left)
    return module


def derived(file, net, rename=lambda name: name):
    t = load_file(str(DATA / file))
    network = fill(networks.build(net), t, rename)
    x, labels = t["input"].double(), t["labels"]
    network.eval()
    with torch.no_grad():
        check(file, "eval.logits", network(x)[0], t["eval.logits"])
    network.train()
    logits, aux = network(x)
    loss = functional.cross_entropy(logits, labels) + 0.4 * functional.cross_entropy(aux, labels)
    for name, got in ("train.logits", logits), ("train.aux", aux), ("train.loss", loss):
        check(file, name, got, t[name])
    loss.backward()
    gradients = {rename(name[5:]): value for name, value in t.items() if name.startswith("grad.")}
    for name, p in network.named_parameters():
        if name in gradients:
            check(file, "gradient of " + name, p.grad, gradients.pop(name))
    if gradients:
        sys.exit("check_twin: %s: gradients of no parameter: %s" % (file, list(gradients)))


def cell_search(hyper, order):
    file = "darts/search.safetensors"
    t = load_file(str(DATA / file))
    net = supernets.Supernet(describe({}), {"kind": "cell", "nodes": 4, "stage_specific": False, "cell_primitives": CELL})
    fill(net.weights, t, lambda name: name)
    bilevel.put(net.arch.values(), [t[name] for name in net.arch])
    adam = torch.optim.Adam(net.arch.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)
    sgd = torch.optim.SGD(net.weights.parameters(), 0.025, 0.9, weight_decay=3e-4)
    group = "%s, %s order" % (file, hyper.__name__.split("_")[0])
    for i in range(3):
        train, valid = [(t["inputs"][i, half].double(), t["labels"][i, half]) for half in (0, 1)]
        grads, loss = bilevel.step(net, hyper, adam, sgd, 5, train, valid)
        for name, g in zip(net.arch, grads):
            check(group, "step %d, gradient of %s" % (i, name), g, t["%s.step%d.grad.%s" % (order, i, name)])
        check(group, "step %d, training loss" % i, loss, t["%s.step%d.train_loss" % (order, i)])
    now = dict(net.weights.named_parameters(), **net.arch)
    now["weights_norm"] = torch.cat([p.flatten() for p in net.weights.parameters()]).norm()
    for name, want in t.items():
        if name.startswith(order + ".after."):
            check(group, "%s after three steps" % name, now[name[len(order) + 7:]], want)


def stage_search(kind, cells, **search):
    file = "hdas/%s_search.safetensors" % kind
    t = load_file(str(DATA / file))
    net = supernets.Supernet(describe(cells), dict(search, kind=kind, window=3, stage_primitives=STAGE))
    fill(net.weights, t, hdas)

    def arch(prefix):
        """Theirs has a matrix for each cell."""
        count = sum(search["lengths"])
        found = stages([t["%salpha_DAG.%d" % (prefix, i)] for i in range(count)], search["lengths"])
        if kind == "distribution":
            found.update({"beta.stage%d" % (s + 1): t["%salpha_concat.%d" % (prefix, s)].flatten() for s in range(len(search["lengths"]))})
        return found
    bilevel.put(net.arch.values(), [arch("state.")[name] for name in net.arch])
    logits = net.logits(t["input"].double())
    loss = functional.cross_entropy(logits, t["labels"])
    check(file, "train.logits", logits, t["train.logits"])
    check(file, "train.loss", loss, t["train.loss"])
    loss.backward()
    for name, p in net.arch.items():
        check(file, "gradient of " + name, p.grad, arch("grad.")[name])
    check(file, "gradient of the stem", net.weights.stem[0].weight.grad, t["grad.stem.0.weight"])


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # several wait for each other on a busy machine
    v1, v2, figure8 = published("DARTS_V1")[0], published("DARTS_V2")[0], published("Hs_DAS_CIFAR_stages")[1]
    derived("darts/cifar.safetensors", dict(describe(v2), layers=20))
    derived("darts/imagenet.safetensors", dict(describe(v2), layers=14, preset="imagenet", classes=20))
    derived("hdas/derived.safetensors", describe(v1, figure8), hdas)
    cell_search(bilevel.first_order, "order1")
    cell_search(bilevel.second_order, "order2")
    stage_search("stage", v1, lengths=[6, 6, 6])
    stage_search("distribution", v1, lengths=[8, 8, 8], min_cells=4)
    bad = False
    for group, (error, name) in worst.items():
        print("%-40s %.1e  %s" % (group, error, name))
        bad = bad or not error <= (1e-7 if "search" in group and "order" in group else 1e-8)
    if bad:
        sys.exit("check_twin: the twin is not the reference")


if __name__ == "__main__":
    main()
