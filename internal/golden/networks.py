"""Counts and numbers of the networks of all published genotypes, by PyTorch alone.

    networks.py   # writes data/networks.json, in some minutes (make golden)

It reads the genotypes in their authors' notation, builds them with the twin beside it and shares no code with the
program. For each genotype and preset:
parameters with and without the auxiliary head, and multiply-adds of convolutions and linear maps, both counted on the
modules of the full network; and of a small network in float64, whose weights and images are a fixed noise: logits in
evaluation mode, and the norm over all weights of the gradient of half the sum of their squares.
"""
import json
import math
import pathlib
import re
import zlib

import numpy as np
import torch
from torch import nn

from pytorch.twin import networks

HERE = pathlib.Path(__file__).parent
GENOTYPES = HERE / "../../models/genotype/published/genotypes.json"


def edges(dag):
    """(operation, to, from) for each edge: of nested lists, pairs, or triples."""
    if dag and isinstance(dag[0][0], list):
        return [(op, i + 2, j) for i, node in enumerate(dag) for op, j in node]
    return [(e[0], e[1], e[2]) if len(e) == 3 else (e[0], i // 2 + 2, e[1]) for i, e in enumerate(dag)]


def dag(edge_list, out):
    """The twin's description. An edge that reads an absent node is passed over, and an absent node leaves the output."""
    there, nodes = {0, 1}, [[] for _ in range(max(to for _, to, _ in edge_list) - 1)]
    for op, to, frm in edge_list:
        if frm in there:
            there.add(to)
            nodes[to - 2].append((op, frm))
    return {"nodes": nodes, "out": [s for s in out if s in there]}


def describe(g, preset, c, layers, classes, auxiliary):
    def of(name):
        return dag(edges(g[name]), g[name + "_concat"])
    stages = [dict(of(f"DAG{s}"), cell="normal", reduce="reduce" if s < 3 else "") for s in (1, 2, 3) if f"DAG{s}" in g]
    cells = {name: of(name) for name in g if re.fullmatch(r"(normal|reduce)\d?", name)}
    return dict(preset=preset, channels=c, layers=layers, classes=classes, auxiliary=auxiliary, pool_norm=bool(stages),
                cells=cells, stages=stages, wiring="summed", pairs=[])


def count(network, image):
    macs = 0

    def hook(m, _, out):
        nonlocal macs
        macs += m.weight.numel() * (math.prod(out.shape[2:]) if isinstance(m, nn.Conv2d) else 1)

    for m in network.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            m.register_forward_hook(hook)
    with torch.no_grad():
        network.eval()(image)
    whole, head = (sum(p.numel() for p in m.parameters()) for m in (network, network.auxiliary_head))
    return {"parameters": whole - head, "with_auxiliary": whole, "macs": macs}


def noise(name, shape):
    """Numbers uniform in [-1, 1), others for every name: those of splitmix64, which any program can make again."""
    x = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(zlib.crc32(name.encode()) << 32)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    return torch.from_numpy((x >> np.uint64(11)).astype(np.float64) / 2**52 - 1).reshape(tuple(shape))


def weight(name, shape):
    """What the parameter or statistic of that name is given."""
    v = noise(name, shape)
    if len(shape) > 1:
        return v * math.sqrt(3 / math.prod(shape[1:]))
    return 1 + v / 2 if name.endswith(("weight", "running_var")) else v / 4


def numbers(network, size):
    network = network.double().eval()
    for name, t in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(weight(name, t.shape))
    logits, _ = network(noise("image", (2, 3, size, size)))
    (logits.square().sum() / 2).backward()
    norm = math.sqrt(sum(p.grad.square().sum().item() for p in network.parameters() if p.grad is not None))
    return {"logits": logits.flatten().tolist(), "gradient": norm}


def main():
    torch.set_num_threads(1)  # several wait for each other on a busy machine
    published = json.loads(GENOTYPES.read_text())
    genotypes = {**published["genotypes"], **published["hdas_figures"]}
    rows = {}
    for name, g in genotypes.items():
        if "DAG1" in g:
            g, name = {**genotypes["DARTS_V1"], **g}, "DARTS_V1+" + name
        rows[name] = {}
        for preset, c, layers, classes, size, small in (("cifar", 36, 20, 10, 32, 16), ("imagenet", 48, 14, 1000, 224, 64)):
            full = count(networks.build(describe(g, preset, c, layers, classes, True)), torch.zeros(1, 3, size, size))
            rows[name][preset] = {**full, **numbers(networks.build(describe(g, preset, 4, 5, 7, False)), small)}
        print(name, {p: r["parameters"] for p, r in rows[name].items()})
    lines = (f"{json.dumps(name)}: {{{', '.join(f'{json.dumps(p)}: {json.dumps(r)}' for p, r in row.items())}}}"
             for name, row in rows.items())
    (HERE / "data/networks.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
