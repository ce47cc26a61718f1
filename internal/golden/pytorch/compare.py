"""Runs PyTorch's side of a comparison: compare.py FOLDER reads task.json and input.safetensors there, and writes
pytorch.safetensors, whose names are GROUP/TENSOR, and pytorch.json with the time and the memory of the steps."""
import json
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

import sides


class Outcome:
    """What comes out, and what the steps take: their time, and the resident memory from the process with its libraries on; on
    CUDA, the memory of the device."""

    def __init__(self, device):
        self.device = device
        self.tensors, self.seconds, self.peak = {}, {}, {}
        self.base = 0 if device.type == "cuda" else status("VmRSS")

    def put(self, group, values):
        for name, value in values.items():
            if value is not None:  # the gradient of what the loss does not depend on
                self.tensors[group + "/" + name] = value.detach().clone().contiguous().cpu()

    def steps(self, name, n, step):
        forget_peak(self.device)
        self.seconds[name] = []
        for i in range(n):
            synchronize(self.device)
            start = time.perf_counter()
            step(i)
            synchronize(self.device)
            self.seconds[name].append(time.perf_counter() - start)
        self.peak[name] = max(0, peak(self.device) - self.base)


def synchronize(device):
    """Waits until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(device):
    """The most memory so far, in bytes: resident memory, or on CUDA that of the device."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else status("VmHWM")


def forget_peak(device):
    """Lets the peak start anew. Where the system does not allow it, it stays that of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def status(key):
    """Bytes that the kernel counts of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


class Input:
    """Weights and batches."""

    def __init__(self, tensors, dtype):
        self.tensors, self.dtype = tensors, dtype

    def sample(self, half, step):
        return self.tensors[half + ".images"][step].to(self.dtype), self.tensors[half + ".labels"][step]

    def fill(self, module):
        """Without the counters of batches, which hdas does not keep."""
        state = {name[6:]: value.to(self.dtype) for name, value in self.tensors.items() if name.startswith("state.")}
        missing, surplus = module.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or surplus:
            sys.exit("the parameters are not the same: only PyTorch has %s; only hdas has %s" % (missing, surplus))

    def fill_arch(self, arch):
        with torch.no_grad():
            for name, p in arch.items():
                p.copy_(self.tensors["arch." + name])


def statistics(module):
    return {name: b for name, b in module.named_buffers() if not name.endswith("num_batches_tracked")}


def gradients(module):
    return {name: p.grad for name, p in module.named_parameters()}


def sgd_of(module, weights):
    return torch.optim.SGD(module.parameters(), weights["lr"], weights["momentum"], weight_decay=weights["weight_decay"])


def train(task, side, given, out):
    """Looks at a derived network and takes steps of SGD."""
    network = side.derived(task["net"]).to(out.device)

    def losses(images, labels):
        logits, aux = network(images)
        loss = functional.cross_entropy(logits, labels) + task["auxiliary_weight"] * functional.cross_entropy(aux, labels)
        return logits, aux, loss

    given.fill(network)
    network.eval()
    with torch.no_grad():
        out.put("eval logits", {"logits": network(given.sample("train", 0)[0])[0]})
    network.train()
    logits, aux, loss = losses(*given.sample("train", 0))
    out.put("train logits", {"logits": logits})
    out.put("auxiliary logits", {"logits": aux})
    out.put("loss", {"loss": loss})
    loss.backward()
    out.put("weight gradients", gradients(network))
    given.fill(network)
    sgd = sgd_of(network, task["weights"])

    def step(i):
        sgd.zero_grad()
        loss = losses(*given.sample("train", i))[2]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), task["weights"]["clip"])
        sgd.step()
        out.put("losses of the steps", {"step%d" % i: loss})
    out.steps("training", task["steps"], step)
    out.put("weights after", dict(network.named_parameters()))
    out.put("statistics after", statistics(network))


def supernet(task, side, device):
    net = side.supernet(task["net"], task["search"])
    net.weights.to(device)
    for parameter in net.arch.values():
        parameter.data = parameter.data.to(device)
    return net


def begin(task, side, given, device):
    """Returns the supernet at the start of a search, and its optimizers."""
    net = supernet(task, side, device)
    given.fill(net.weights)
    given.fill_arch(net.arch)
    net.weights.train()
    return net, side.adam(net, task["alpha"]), sgd_of(net.weights, task["weights"])


def search(task, side, given, out):
    """Looks at a supernet and takes bilevel steps of each order from the same point."""
    net = supernet(task, side, out.device)
    given.fill(net.weights)
    given.fill_arch(net.arch)
    net.weights.train()
    images, labels = given.sample("train", 0)
    out.put("train logits", {"logits": net.logits(images)})
    given.fill(net.weights)
    loss = net.training_loss(images, labels)
    out.put("loss", {"loss": loss})
    loss.backward(inputs=list(net.weights.parameters()))
    out.put("weight gradients", gradients(net.weights))
    for order in task["orders"]:
        net, adam, sgd = begin(task, side, given, out.device)
        suffix = ", %s order" % order

        def step(i):
            grads, loss = side.step(net, order, adam, sgd, task, given.sample("train", i), given.sample("valid", i))
            out.put("alpha gradients" + suffix, {"step%d %s" % (i, name): g for name, g in zip(net.arch, grads)})
            out.put("losses of the steps" + suffix, {"step%d" % i: loss})
        out.steps(order + " order", task["steps"], step)
        out.put("alphas after" + suffix, net.arch)
        if hasattr(side, "faults"):
            side.faults(again(task, side, given, out.device, order))
        out.put("weights after" + suffix, dict(net.weights.named_parameters()))
        if order == "first":  # the second looks ahead, which moves the statistics of some programs and not of others
            out.put("statistics after" + suffix, statistics(net.weights))


def again(task, side, given, device, order):
    """Takes the steps of a search once more, and yields the supernet before each with the rate and the batch."""
    net, adam, sgd = begin(task, side, given, device)
    for i in range(task["steps"]):
        train, valid = given.sample("train", i), given.sample("valid", i)
        yield net, sgd.param_groups[0]["lr"], train, valid
        side.step(net, order, adam, sgd, task, train, valid)


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    dtype = getattr(torch, task["precision"])
    torch.set_num_threads(task["threads"])
    torch.set_default_dtype(dtype)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = torch.device(task["device"])
    side = sides.of(task["reference"], device)
    given = Input(load_file(str(folder / "input.safetensors"), device=task["device"]), dtype)
    torch.ones(8, 8, device=device).mm(torch.ones(8, 8, device=device))
    out = Outcome(device)
    (search if task["search"] else train)(task, side, given, out)
    save_file(out.tensors, str(folder / "pytorch.safetensors"))
    figures = {"version": torch.__version__, "seconds": out.seconds, "peak": out.peak, "notes": list(side.notes)}
    (folder / "pytorch.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
