#!/usr/bin/env python3
"""Makes the golden numbers of single pieces, with PyTorch in float64: the files beside this one (make golden).

A name is CASE/WHAT: state.* are parameters before, output comes of input in training, grad.* are the gradients of
(output * cotangent).sum(), after.* the running statistics then, eval the output in evaluation after that.
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "pytorch"))
from twin import cells, networks, ops  # noqa: E402

CELL = "none max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5".split()
STAGE = "none skip_connect max_pool_3x3 avg_pool_3x3".split()


def save(name, tensors):
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file(tensors, str(HERE / (name + ".safetensors")), {"torch": torch.__version__})


def scatter(module):
    """Moves what starts as 0 or 1."""
    with torch.no_grad():
        for name, t in list(module.named_parameters()) + list(module.named_buffers()):
            if name.endswith(("running_var", "weight")) and t.dim() == 1:
                t.uniform_(0.5, 1.5)
            elif t.dim() == 1:
                t.uniform_(-0.2, 0.2)
    return module


def buffers(module):
    return {name: b for name, b in module.named_buffers() if not name.endswith("num_batches_tracked")}


def record(out, case, module, inputs, forward=None, extra=()):
    """Runs a module, forwards and backwards. inputs are leaves by name, and so is what extra adds."""
    forward = forward or module
    for name, value in list(module.named_parameters()) + list(buffers(module).items()):
        out["%s/state.%s" % (case, name)] = value.clone()
    leaves = dict(inputs, **dict(extra))
    for name, value in leaves.items():
        out["%s/%s" % (case, name)] = value
        value.requires_grad_()
    module.train()
    y = forward(*inputs.values())
    cotangent = torch.randn_like(y)
    out[case + "/cotangent"], out[case + "/output"] = cotangent, y
    wanted = dict(leaves, **dict(module.named_parameters()))
    if y.requires_grad:  # all but none's
        for name, grad in zip(wanted, torch.autograd.grad((y * cotangent).sum(), list(wanted.values()))):
            out["%s/grad.%s" % (case, name)] = grad
    for name, value in buffers(module).items():
        out["%s/after.%s" % (case, name)] = value.clone()
    module.eval()
    with torch.no_grad():
        out[case + "/eval"] = forward(*inputs.values())


def named(*names):
    """The module that comes last, under the names before it."""
    *names, module = names
    for name in reversed(names):
        module = nn.ModuleDict({str(name): module})
    return module


def image(c, size=8):
    return torch.randn(2, c, size, size)


def primitives():
    out = {}
    names = sorted(set(CELL + STAGE + ["sep_conv_7x7", "conv_7x1_1x7"]))
    for name in names:
        for stride in (1, 2):
            for case, affine, pool_norm in (("searched", False, True), ("affine", True, True), ("bare", True, False)):
                if case == "bare" and "pool" not in name:
                    continue
                module = scatter(ops.operation(name, 2, stride, affine, pool_norm))
                record(out, "%s.%d.%s" % (name, stride, case), module, {"input": image(2)})
    save("ops", out)


# Every kind of edge, a state read twice, and an output that leaves a node out. No state goes through pooling and batch norm alone,
# which would make the gradient of a shift before them zero.
NORMAL = {"nodes": [[["sep_conv_3x3", 0], ["max_pool_3x3", 1]], [["skip_connect", 1], ["dil_conv_5x5", 2]], [["avg_pool_3x3", 3], ["skip_connect", 3]]], "out": [2, 4]}
REDUCE = {"nodes": [[["max_pool_3x3", 0], ["skip_connect", 1]], [["avg_pool_3x3", 1], ["skip_connect", 2]], [["dil_conv_3x3", 0], ["sep_conv_5x5", 3]]], "out": [3, 4]}


def whole_cells():
    """The cells 1, 2 and 3 of a chain of 6 with C = 2: normal, reduction, and the normal one behind it."""
    out = {}
    for number, case, dag, c, reduction, halve in ((1, "normal", NORMAL, 2, False, False), (2, "reduction", REDUCE, 4, True, False), (3, "behind", NORMAL, 4, False, True)):
        for norm in (False, True):
            widths = {"normal": [6, 4], "reduction": [4, 4], "behind": [4, 8]}[case]
            cell = scatter(cells.Cell(dag, widths, c, reduction, [halve, False], norm))
            size = 8 if not halve else 4
            record(out, "%s.%s" % (case, "norm" if norm else "bare"), named("cells", number, cell),
                   {"first": image(widths[0], 8), "second": image(widths[1], size)}, cell)
    save("cells", out)


def counted(t):
    """Fills with small numbers that any program can make again: too many to be kept in a file."""
    with torch.no_grad():
        i = torch.arange(t.numel(), dtype=torch.float64)
        t.copy_((((i * 7919 + 13) % 2003) / 2003 - 0.5).mul(0.1).view_as(t))
    return t


def heads():
    """Weights are counted. Of the gradient of the second convolution, whose 393,216 numbers are too many, 3 rows are kept."""
    out = {}
    for preset, size in (("cifar", 8), ("imagenet", 7)):
        head = networks.AuxiliaryHead(preset, 16, 10)
        for p in head.parameters():
            counted(p)
            if p.dim() == 1:
                p.data.add_(1)
        record(out, preset, named("auxiliary_head", head), {"input": image(16, size)}, head)
    large = "auxiliary_head.features.5.weight"
    for name in [n for n in out if "/state." in n]:
        del out[name]
    for name in [n for n in out if n.endswith("/grad." + large)]:
        out[name] = out[name][:3]
    save("heads", out)


def mixtures():
    out = {}
    for name, candidates in ("cell", CELL), ("stage", STAGE):
        for stride in (1, 2):
            alpha, row = torch.randn(2, len(candidates)), 1
            mixture = ops.Mixture(candidates, 2, stride)
            record(out, "%s.%d" % (name, stride), mixture, {"input": image(2)},
                   lambda x: mixture(x, alpha.softmax(-1)[row]), {"alpha": alpha})
    save("mixtures", out)


def optimizers():
    """Five steps with given gradients; the rate changes from step to step."""
    out = {"rates": torch.tensor([0.1, 0.05, 0.2, 0.01, 0.1])}
    start, grads = [torch.randn(3, 4), torch.randn(5)], [[torch.randn(3, 4), torch.randn(5)] for _ in range(5)]
    for i, p in enumerate(start):
        out["start.%d" % i] = p
        for step, g in enumerate(grads):
            out["grad.%d.%d" % (step, i)] = g[i]
    for name, kind, options in (
        ("sgd.plain", torch.optim.SGD, {}),
        ("sgd.decay", torch.optim.SGD, {"weight_decay": 0.1}),
        ("sgd.momentum", torch.optim.SGD, {"momentum": 0.9}),
        ("sgd.dampening", torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
        ("sgd.nesterov", torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 3e-4}),
        ("adam.plain", torch.optim.Adam, {}),
        ("adam.darts", torch.optim.Adam, {"betas": (0.5, 0.999), "weight_decay": 1e-3}),
        ("adam.eps", torch.optim.Adam, {"betas": (0.9, 0.99), "eps": 1e-2}),
    ):
        params = [p.clone().requires_grad_() for p in start]
        optimizer = kind(params, lr=1.0, **options)
        for step, rate in enumerate(out["rates"].tolist()):
            optimizer.param_groups[0]["lr"] = rate
            for i, p in enumerate(params):
                p.grad = grads[step][i].clone()
            optimizer.step()
            for i, p in enumerate(params):
                out["%s/%d.%d" % (name, step, i)] = p.detach().clone()
    for name, largest in ("clip.some", 1.0), ("clip.none", 100.0):
        params = [p.clone() for p in start]
        for i, p in enumerate(params):
            p.grad = grads[0][i].clone()
        out[name + "/norm"] = torch.nn.utils.clip_grad_norm_(params, largest)
        for i, p in enumerate(params):
            out["%s/%d" % (name, i)] = p.grad
    save("optimizers", out)


def schedules():
    from torch.optim import lr_scheduler as s
    out = {}
    for name, base, make in (
        ("cosine", 0.025, lambda o: s.CosineAnnealingLR(o, 20, 0.001)),
        ("step", 0.1, lambda o: s.StepLR(o, 3, 0.97)),
        ("linear", 0.5, lambda o: s.LinearLR(o, 1.0, 0.2, 20)),
        ("warm cosine", 0.5, lambda o: s.ChainedScheduler([s.LinearLR(o, 1e-3, 1.0, 5), s.CosineAnnealingLR(o, 20, 0)])),
        ("warm step", 0.5, lambda o: s.ChainedScheduler([s.LinearLR(o, 0.1, 1.0, 10), s.StepLR(o, 1, 0.97)])),
    ):
        optimizer = torch.optim.SGD([torch.zeros(1)], base)
        schedule, rates = make(optimizer), []
        for _ in range(21):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        out[name] = torch.tensor(rates)
    save("schedules", out)


def layers():
    out = {}
    for affine in (False, True):
        record(out, "norm.%s" % ("affine" if affine else "plain"), scatter(nn.BatchNorm2d(3, affine=affine)), {"input": image(3, 5)})
    record(out, "linear", nn.Linear(12, 5), {"input": torch.randn(4, 12)})
    logits, labels = torch.randn(6, 10) * 3, torch.tensor([0, 9, 4, 4, 7, 1])
    out["labels"], out["logits"] = labels, logits
    for smoothing in (0.0, 0.1, 0.5):
        x = logits.clone().requires_grad_()
        loss = functional.cross_entropy(x, labels, label_smoothing=smoothing)
        out["loss.%g" % smoothing], (out["loss.%g/grad" % smoothing],) = loss, torch.autograd.grad(loss, x)
    # The mask of a seed: the same generator draws it on both sides.
    x, keep = torch.randn(16, 2, 3, 3), 0.7
    torch.manual_seed(5)
    mask = torch.zeros(16, 1, 1, 1).bernoulli_(keep)
    out["path/input"], out["path/mask"], out["path/output"] = x, mask, x / keep * mask
    save("layers", out)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for seed, make in enumerate((primitives, whole_cells, heads, mixtures, optimizers, schedules, layers)):
        torch.manual_seed(seed)
        make()


if __name__ == "__main__":
    main()
