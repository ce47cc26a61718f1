"""Golden numbers of networks and searches with options that the reference programs lack, by PyTorch alone.

    options.py   # writes data/options, in seconds (make golden)

It describes them to the twin by itself, fills them with the noise of networks.py, in float64, and runs what a comparison runs
(pytorch/compare.py): the files have its groups, GROUP/TENSOR, without those of all weights.
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file

from networks import noise, weight

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "pytorch"))
import compare  # noqa: E402
import sides  # noqa: E402
from check_twin import CELL, STAGE, published  # noqa: E402

KEPT = ("logits", "loss", "alpha")
STEPS, BATCH, CLASSES = 2, 4, 10


# What Figure 8 has none of: an input read twice, a single edge, edges that are not in the order of their states.
NODES = [[["skip_connect", 0], ["avg_pool_3x3", 0]], [["max_pool_3x3", 2], ["skip_connect", 0]], [["max_pool_3x3", 0]], [["skip_connect", 4], ["avg_pool_3x3", 1]]]
CROSSED = [dict(nodes=NODES, out=[4, 5], cell="normal", reduce="" if last else "reduce") for last in (False, False, True)]


def described(cells, stages=(), **other):
    return dict(preset="cifar", channels=4, layers=5, classes=CLASSES, auxiliary=True, pool_norm=True, cells=cells, stages=stages, pairs=[], **other)


def searched(kind, lengths=(), **other):
    """The paper's losses: delta 1, gamma 0.4."""
    found = dict(kind=kind, nodes=4, cell_primitives=CELL, lengths=lengths, window=3, stage_primitives=STAGE, delta=1, gamma=0.4)
    return dict(found, **other)


def cases():
    """The network and, of a supernet, what is searched."""
    v1, figure8 = published("DARTS_V1")[0], published("Hs_DAS_CIFAR_stages")[1]
    for name, output in ("paired", "last_two"), ("paired-last", "last"):
        yield name, described(v1, figure8, wiring="paired", stage_output=output), None
        net = described(v1, CROSSED, wiring="paired", stage_output=output)
        yield name + "-crossed", net, None
        yield name + "-imagenet", dict(net, preset="imagenet", classes=1000), None
    mixed = dict(partial_channels=2, edge_normalization=True)
    for name, cells, search in (
        ("cell-partial", {}, searched("cell", stage_specific=True, **mixed)),
        ("distribution-shared", v1, searched("distribution", [5, 5, 5], min_cells=3, shared=True, depth_weights="edge_softmax")),
        ("stage-raw", v1, searched("stage", [6, 6, 6], depth_weights="raw")),
        ("stage-shared", v1, searched("stage", [6, 6, 6], shared=True, edge_normalization=True)),
        ("joint", {}, searched("joint", [3, 3, 3], stage_specific=False)),
        ("joint-partial", {}, searched("joint", [3, 4, 3], min_cells=2, stage_specific=True, **mixed)),
    ):
        yield name, described(cells), search


def given(module, arch, net):
    """Every tensor is the noise of its name."""
    tensors = {"state." + name: weight(name, t.shape) for name, t in module.state_dict().items() if not name.endswith("num_batches_tracked")}
    tensors.update(("arch." + name, noise(name, t.shape)) for name, t in arch.items())
    size = {"cifar": 32, "imagenet": 224}[net["preset"]]
    for half in "train", "valid":
        tensors[half + ".images"] = noise(half + ".images", (STEPS, BATCH, 3, size, size))
        tensors[half + ".labels"] = ((1 + noise(half + ".labels", (STEPS, BATCH))) / 2 * net["classes"]).long()
    return compare.Input(tensors, torch.float64)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # several wait for each other on a busy machine
    (HERE / "data/options").mkdir(exist_ok=True)
    for name, net, search in cases():
        side, out = sides.Twin(), compare.Outcome()
        task = dict(net=net, search=search, steps=STEPS, orders=["first", "second"], auxiliary_weight=0.4,
                    weights=dict(lr=0.025, momentum=0.9, weight_decay=2.7e-3, clip=5),
                    alpha=dict(lr=3e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3))
        if search:
            supernet = side.supernet(net, search)
            compare.search(task, side, given(supernet.weights, supernet.arch, net), out)
        else:
            compare.train(task, side, given(side.derived(net), {}, net), out)
        kept = {key: t for key, t in out.tensors.items() if any(word in key.split("/")[0] for word in KEPT)}
        save_file(kept, str(HERE / "data/options" / (name + ".safetensors")), {"torch": torch.__version__})
        print(name, len(kept), "tensors")


if __name__ == "__main__":
    main()
