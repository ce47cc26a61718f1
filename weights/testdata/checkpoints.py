"""Writes the checkpoints in this folder with PyTorch 2.1.2: python checkpoints.py

Every one holds the tensors of expected() below, which the tests compute again; legacy and zip.
"""
import argparse
import collections

import numpy as np
import torch


def ramp(n, dtype):
    """0, 0.5, 1, ... as that type; exact in every one."""
    return (torch.arange(n, dtype=torch.float64) / 2).to(dtype)


def expected():
    d = collections.OrderedDict()
    shared = ramp(24, torch.float32)
    d["row"] = ramp(6, torch.float32).reshape(2, 3)
    d["transposed"] = ramp(6, torch.float32).reshape(2, 3).t()
    d["tail"] = shared[20:]
    d["middle"] = shared[2:14].reshape(3, 4)[:, 1:3]
    d["head"] = shared[0:2]
    d["channels_last"] = ramp(16, torch.float32).reshape(1, 4, 2, 2).contiguous(memory_format=torch.channels_last)
    d["empty"] = torch.zeros(0, 3)
    d["scalar"] = torch.tensor(7)
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        d[str(dtype).split(".")[1]] = ramp(5, dtype)
    d["bool"] = torch.tensor([True, False, True])
    d["parameter"] = torch.nn.Parameter(ramp(3, torch.float32))
    d["a.name.that.is.longer.than.sixty.four.bytes.which.the.reader.treats.apart"] = ramp(2, torch.float32)
    return d


def nested():
    """Everything that programs keep beside the weights, and names with a prefix."""
    state = collections.OrderedDict(("module." + k, v) for k, v in expected().items())
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    return {
        "epoch": 3, "arch": "x", "best_acc1": torch.tensor(97.5), "args": argparse.Namespace(lr=0.1, gpu=None, seeds=[1, 2]),
        "numpy": np.float64(0.5), "big": 2**80, "size": torch.Size([1, 2]), "device": torch.device("cpu"),
        "state_dict": state,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "ema": {k: v + 1 for k, v in list(expected().items())[:3]},
    }


for legacy in (False, True):
    form = "legacy" if legacy else "zip"
    torch.save(expected(), f"bare-{form}.pt", _use_new_zipfile_serialization=not legacy)
    torch.save(nested(), f"nested-{form}.pth.tar", _use_new_zipfile_serialization=not legacy)
torch.save({k: v for k, v in expected().items()}, "protocol4-zip.pt", pickle_protocol=4)
torch.save(torch.nn.Linear(2, 2), "module-zip.pt")
