"""Golden numbers of trainings with AdamW, layer decay, averaged weights, clipping, frozen norms and large batches, by
PyTorch alone.

    training.py   # writes data/training.safetensors, in seconds (make golden)

The network is the twin's, its weights and images the noise of networks.py, in float64. Of each case the file has the loss
of every step and, after the last one, every 7th number of the weights and running statistics in the order of their names,
and of their averages.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from networks import GENOTYPES, describe, noise, weight

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "pytorch"))
from twin import networks  # noqa: E402

LAYERS, CLASSES, BATCH, SIZE, RATES = 4, 3, 6, 16, [0.01, 0.02, 0.005, 0.01]


def named(network):
    return {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def groups(network, rate, decay, backbone, layer_decay, all_decay):
    """A group for each parameter: the rate falls from the classifier to the stem, norms and biases have no decay."""
    for name, p in network.named_parameters():
        factor = 1.0
        if not name.startswith("classifier"):
            depth = int(name.split(".")[1]) + 1 if name.startswith("cells.") else 0
            factor = backbone * layer_decay ** (LAYERS + 1 - depth)
        yield dict(params=[p], factor=factor, lr=rate * factor, weight_decay=decay if all_decay or p.dim() > 1 else 0.0)


def run(optimizer, clip, backbone, layer_decay, all_decay, decay, frozen, average):
    published = json.loads(GENOTYPES.read_text())["genotypes"]
    network = networks.build(describe(published["DARTS_V2"], "cifar", 2, LAYERS, CLASSES, False)).double()
    for name, t in named(network).items():
        t.copy_(weight(name, t.shape))
    network.train()
    if frozen:
        for m in network.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.eval()
    steps = optimizer(list(groups(network, 1.0, decay, backbone, layer_decay, all_decay)))
    limit, warm = average
    averaged = AveragedModel(network, use_buffers=True, avg_fn=lambda mean, value, n: mean + (value - mean) * (
        1 - (min(limit, (1 + int(n)) / (10 + int(n))) if warm else limit)))
    averaged.update_parameters(network)  # the first call copies
    losses = []
    for step, rate in enumerate(RATES):
        for group in steps.param_groups:
            group["lr"] = rate * group["factor"]
        images = noise(f"images.{step}", (BATCH, 3, SIZE, SIZE))
        labels = ((1 + noise(f"labels.{step}", (BATCH,))) / 2 * CLASSES).long()
        loss = nn.functional.cross_entropy(network(images)[0], labels)
        steps.zero_grad()
        loss.backward()
        clip([p for p in network.parameters() if p.grad is not None])
        steps.step()
        averaged.update_parameters(network)
        losses.append(loss.detach())
    flat = [torch.cat([t.flatten() for _, t in sorted(named(m).items())])[::7] for m in (network, averaged.module)]
    return {"loss": torch.stack(losses), "weights": flat[0], "averages": flat[1]}


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    out = {}
    for name, numbers in (
        ("adamw", run(lambda g: torch.optim.AdamW(g, betas=(0.9, 0.99), eps=1e-6), lambda p: nn.utils.clip_grad_value_(p, 0.02),
                      0.5, 0.7, False, 0.05, False, (0.9, True))),
        ("frozen", run(lambda g: torch.optim.AdamW(g), lambda p: None, 1.0, 1.0, True, 0.01, True, (0.8, False))),
        ("sgd", run(lambda g: torch.optim.SGD(g, lr=1.0, momentum=0.9, nesterov=True), lambda p: nn.utils.clip_grad_norm_(p, 0.5),
                    0.1, 0.8, False, 0.1, True, (0.99, True))),
    ):
        out.update((name + "/" + key, t.clone()) for key, t in numbers.items())
        print(name, numbers["loss"].tolist())
    save_file(out, str(HERE / "data/training.safetensors"), {"torch": torch.__version__})


if __name__ == "__main__":
    main()
