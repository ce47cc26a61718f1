"""Takes PyTorch's steps on random images, to be timed: pace.py FOLDER [compile] reads task.json there, and answers every line on
standard input by one step and a line of JSON: its seconds, those of all threads, and the most memory in bytes since the first step. With
"compile", torch.compile compiles the networks, in the first step, without what earlier runs have compiled."""
import json
import os
import pathlib
import sys
import time

import torch
from torch.nn import functional

import sides
from compare import forget_peak, peak, sgd_of, supernet, synchronize


def main(folder, compile):
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
    task = json.loads((folder / "task.json").read_text())
    torch.set_num_threads(task["threads"])
    torch.set_default_dtype(getattr(torch, task["precision"]))
    device = torch.device(task["device"])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = task["autocast"] == "tf32"
    side = sides.of(task["reference"], device)
    lower = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(task["autocast"])
    step = (searching if task["search"] else evaluating if task["evaluate"] else training)(task, side, device, compile)
    size, classes = {"cifar": 32, "imagenet": 224}[task["net"]["preset"]], task["net"]["classes"]

    def sample():
        return torch.randn(task["batch"], 3, size, size, device=device), torch.randint(0, classes, (task["batch"],), device=device)

    for number, _ in enumerate(sys.stdin):
        train, valid = sample(), sample()
        synchronize(device)
        start, cpu = time.perf_counter(), time.process_time()
        with torch.autocast(device.type, lower, enabled=lower is not None):
            step(train, valid)
        synchronize(device)
        print(json.dumps({"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "peak": peak(device)}), flush=True)
        if number == 0:
            forget_peak(device)  # compiling is no step


def searching(task, side, device, compile):
    net = supernet(task, side, device)
    net.weights.train()
    net.logits = compile(net.logits)
    adam, sgd = side.adam(net, task["alpha"]), sgd_of(net.weights, task["weights"])

    def step(train, valid):
        side.step(net, task["orders"][0], adam, sgd, task, train, valid)[1].item()
    return step


def training(task, side, device, compile):
    network = side.derived(task["net"]).to(device).train()
    sgd, network = sgd_of(network, task["weights"]), compile(network)

    def step(train, _):
        sgd.zero_grad()
        logits, aux = network(train[0])
        loss = functional.cross_entropy(logits, train[1]) + task["auxiliary_weight"] * functional.cross_entropy(aux, train[1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), task["weights"]["clip"])
        sgd.step()
        loss.item()
    return step


def evaluating(task, side, device, compile):
    network = compile(side.derived(task["net"]).to(device).eval())

    def step(train, _):
        with torch.no_grad():
            network(train[0])[0].sum().item()
    return step


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), torch.compile if sys.argv[2:] == ["compile"] else lambda module: module)
