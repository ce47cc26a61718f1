"""Counts and numbers of the networks of all published genotypes, by PyTorch alone.

    python internal/golden/networks.py   # PyTorch 2.1; writes data/networks.json, in some minutes

It reads the genotypes in their authors' notation and shares no code with the program. For each genotype and preset:
parameters with and without the auxiliary head, and multiply-adds of convolutions and linear maps, both counted on the
modules of the full network; and of a small network in float64, whose weights and images are cosines: logits in
evaluation mode, and the norm over all weights of the gradient of half the sum of their squares.
"""
import json
import math
import pathlib
import zlib

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
GENOTYPES = HERE / "../../models/genotype/published/genotypes.json"


def bn(c):
    return nn.BatchNorm2d(c)


def conv(cin, cout, k=1, s=1, p=0, d=1, g=1):
    return nn.Conv2d(cin, cout, k, s, p, d, g, bias=False)


class Op(nn.Module):
    """Layers whose parameters are named op.0, op.1, ..."""

    def __init__(self, *layers):
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride] * 0


class FactorizedReduce(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv_1, self.conv_2, self.bn = conv(cin, cout // 2, 1, 2), conv(cin, cout - cout // 2, 1, 2), bn(cout)

    def forward(self, x):
        x = torch.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def relu_conv_bn(cin, cout):
    return Op(nn.ReLU(), conv(cin, cout), bn(cout))


def operation(name, c, s, pool_norm):
    kind, size = name.rsplit("_", 1) if name[-1].isdigit() else (name, "")
    if kind in ("max_pool", "avg_pool"):
        pool = nn.MaxPool2d(3, s, 1) if kind == "max_pool" else nn.AvgPool2d(3, s, 1, count_include_pad=False)
        return nn.Sequential(pool, bn(c)) if pool_norm else pool
    if kind == "sep_conv":
        k = int(size[0])
        return Op(nn.ReLU(), conv(c, c, k, s, k // 2, g=c), conv(c, c), bn(c),
                  nn.ReLU(), conv(c, c, k, 1, k // 2, g=c), conv(c, c), bn(c))
    if kind == "dil_conv":
        k = int(size[0])
        return Op(nn.ReLU(), conv(c, c, k, s, k - 1, 2, c), conv(c, c), bn(c))
    if name == "conv_7x1_1x7":
        return nn.Sequential(nn.ReLU(), conv(c, c, (1, 7), (1, s), (0, 3)), conv(c, c, (7, 1), (s, 1), (3, 0)), bn(c))
    return {"skip_connect": nn.Identity() if s == 1 else FactorizedReduce(c, c), "none": Zero(s)}[name]


def edges(dag):
    """(operation, to, from) for each edge: of nested lists, pairs, or triples."""
    if dag and isinstance(dag[0][0], list):
        return [(op, i + 2, j) for i, node in enumerate(dag) for op, j in node]
    return [(e[0], e[1], e[2]) if len(e) == 3 else (e[0], i // 2 + 2, e[1]) for i, e in enumerate(dag)]


class Cell(nn.Module):
    def __init__(self, g, name, inputs, c, reduction, halve, pool_norm):
        super().__init__()
        self.preprocess0 = FactorizedReduce(inputs[0], c) if halve else relu_conv_bn(inputs[0], c)
        self.preprocess1 = relu_conv_bn(inputs[1], c)
        there, self.edges = {0, 1}, []
        for op, to, frm in edges(g[name]):  # an edge that reads an absent node is passed over
            if frm in there:
                there.add(to)
                self.edges.append((op, to, frm))
        self._ops = nn.ModuleList(
            operation(op, c, 2 if reduction and frm < 2 else 1, pool_norm) for op, _, frm in self.edges)
        self.out = [s for s in g[name + "_concat"] if s in there]
        self.width = len(self.out) * c

    def forward(self, a, b):
        states = {0: self.preprocess0(a), 1: self.preprocess1(b)}
        for op, (_, to, frm) in zip(self._ops, self.edges):
            h = op(states[frm])
            states[to] = states[to] + h if to in states else h
        return torch.cat([states[s] for s in self.out], 1)


class Stage(nn.Module):
    """The summed wiring: two 1x1s, and cells that read the sum of their edges on both inputs."""

    def __init__(self, dag, wide, width):
        super().__init__()
        self.preprocess0, self.preprocess1 = relu_conv_bn(wide, width), relu_conv_bn(wide, width)
        self.edges = edges(dag)
        self._ops = nn.ModuleList(operation(op, width, 1, True) for op, _, _ in self.edges)

    def forward(self, x, cells, out):
        states = [self.preprocess0(x), self.preprocess1(x)]
        for i, cell in enumerate(cells):
            s = sum(op(states[frm]) for op, (_, to, frm) in zip(self._ops, self.edges) if to == i + 2)
            states.append(cell(s, s))
        return torch.cat([states[s] for s in out], 1)


def auxiliary_head(c, classes, imagenet):
    """With the auxiliary head of ImageNet the second batch norm is left out, as DARTS did."""
    head = nn.Module()
    head.features = nn.Sequential(
        nn.ReLU(), nn.AvgPool2d(5, 2 if imagenet else 3, 0, count_include_pad=False), conv(c, 128), bn(128), nn.ReLU(),
        conv(128, 768, 2), *([] if imagenet else [bn(768)]), nn.ReLU())
    head.classifier = nn.Linear(768, classes)
    return head


class Network(nn.Module):
    def __init__(self, g, imagenet, c, layers, classes):
        super().__init__()
        self.staged = "DAG1" in g
        wide = {(False, False): 3 * c, (False, True): c}.get((self.staged, imagenet), len(g.get("normal_concat", [])) * c)
        if imagenet:
            self.stem0 = nn.Sequential(conv(3, c // 2, 3, 2, 1), bn(c // 2), nn.ReLU(), conv(c // 2, c, 3, 2, 1), bn(c))
            self.stem1 = nn.Sequential(nn.ReLU(), conv(c, wide, 3, 2, 1), bn(wide))
        else:
            self.stem = nn.Sequential(conv(3, wide, 3, 1, 1), bn(wide))
        self.imagenet, self.cells = imagenet, nn.ModuleList()
        aux = self.stack(g, wide, c) if self.staged else self.row(g, c if imagenet else wide, wide, c, layers)
        self.head = [auxiliary_head(aux, classes, imagenet)]  # counted, but no part of the module
        self.classifier = nn.Linear(self.features, classes)

    def row(self, g, before, last, c, layers):
        halve, stage = self.imagenet, 1
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            c *= 2 if reduction else 1
            kind = "reduce" if reduction else "normal"
            name = kind if kind in g else f"{kind}{stage}"
            self.cells.append(Cell(g, name, (before, last), c, reduction, halve, False))
            before, last, halve = last, self.cells[-1].width, reduction
            stage += reduction
            if i == 2 * layers // 3:
                aux = last
        self.features = last
        return aux

    def stack(self, g, wide, c):
        self.stages, self.plan = nn.ModuleList(), []
        for s in (1, 2, 3):
            dag, out = g[f"DAG{s}"], g[f"DAG{s}_concat"]
            width = len(g["normal_concat"]) * c
            self.stages.append(Stage(dag, wide, width))
            first = len(self.cells)
            for _ in dag:
                self.cells.append(Cell(g, "normal", (width, width), c, False, False, True))
            self.plan.append((first, len(self.cells), out))
            wide = len(out) * width
            if s < 3:
                c *= 2
                self.cells.append(Cell(g, "reduce", (wide, wide), c, True, False, True))
                wide = aux = self.cells[-1].width
        self.features = wide
        return aux

    def forward(self, x):
        if self.imagenet:
            a = self.stem0(x)
            b = self.stem1(a)
        else:
            a = b = self.stem(x)
        if self.staged:
            for stage, (first, end, out) in zip(self.stages, self.plan):
                b = stage(b, self.cells[first:end], out)
                if end < len(self.cells):
                    b = self.cells[end](b, b)
        else:
            for cell in self.cells:
                a, b = b, cell(a, b)
        return self.classifier(b.mean((2, 3)))


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
    size = lambda m: sum(p.numel() for p in m.parameters())
    return {"parameters": size(network), "with_auxiliary": size(network) + size(network.head[0]), "macs": macs}


def cosines(name, shape):
    """A tensor of its own for every name, in [-1, 1]."""
    n = math.prod(shape)
    return torch.cos(zlib.crc32(name.encode()) % 1000 + torch.arange(n, dtype=torch.float64)).reshape(shape)


def numbers(network, size):
    network = network.double().eval()
    for name, t in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        v = cosines(name, tuple(t.shape))
        if t.dim() > 1:
            v = v * math.sqrt(3 / math.prod(t.shape[1:]))
        elif name.endswith(("weight", "running_var")):
            v = 1 + v / 2
        else:
            v = v / 4
        t.copy_(v)
    logits = network(cosines("image", (2, 3, size, size)))
    (logits.square().sum() / 2).backward()
    norm = math.sqrt(sum(p.grad.square().sum().item() for p in network.parameters() if p.grad is not None))
    return {"logits": logits.flatten().tolist(), "gradient": norm}


def main():
    published = json.loads(GENOTYPES.read_text())
    genotypes = {**published["genotypes"], **published["hdas_figures"]}
    rows = {}
    for name, g in genotypes.items():
        if "DAG1" in g:
            g, name = {**genotypes["DARTS_V1"], **g}, "DARTS_V1+" + name
        rows[name] = {}
        for preset, imagenet, c, layers, classes, size, small in (
                ("cifar", False, 36, 20, 10, 32, 16), ("imagenet", True, 48, 14, 1000, 224, 64)):
            full = count(Network(g, imagenet, c, layers, classes), torch.zeros(1, 3, size, size))
            rows[name][preset] = {**full, **numbers(Network(g, imagenet, 4, 5, 7), small)}
        print(name, {p: r["parameters"] for p, r in rows[name].items()})
    lines = (f"{json.dumps(name)}: {{{', '.join(f'{json.dumps(p)}: {json.dumps(r)}' for p, r in row.items())}}}"
             for name, row in rows.items())
    (HERE / "data/networks.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
