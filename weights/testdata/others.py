"""Writes others/*.pt with PyTorch 2.1.2: python others.py

torch.load(weights_only=True) of a current PyTorch opens all of them except class.pt. Each contains the tensors of
state(), except unsupported.pt.
"""
import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent / "others"
HERE.mkdir(exist_ok=True)


def state():
    return collections.OrderedDict([("stem.0.weight", torch.arange(6.0).reshape(2, 3)), ("cells.0.w", torch.ones(2)), ("classifier.bias", torch.arange(3.0))])


def under(prefix):
    return collections.OrderedDict((prefix + k, v) for k, v in state().items())


class Attributed(torch.Tensor):
    pass


sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
plain = state()
attributed = torch.nn.Parameter(torch.zeros(2))
attributed.note = "kept"
mixed = {**under("module."), "stem.1.weight": torch.ones(1)}
files = {
    "counter": {"model": state(), "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(sgd, [10, 20]).state_dict()},
    "dtypes": {"model": state(), "dtypes": [torch.float16, torch.bfloat16, torch.quint8, torch.bool, torch.complex64], "layout": torch.strided,
               "scheme": torch.per_channel_affine},
    "sets": {"model": state(), "seen": {1, 2, "three"}, "nothing": set(), "bytes": bytearray(b"abc"), "number": 1 + 2j, "raw": b"\xff\x00"},
    "foreign": {"model": state(), "complex": torch.ones(2, dtype=torch.complex64), "sparse": torch.eye(2).to_sparse(),
                "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8), "meta": torch.ones(2, device="meta"), "parameter": attributed},
    "tuple": (3, state(), 71.2),
    "list": [{"epoch": 1, "net": state()}],
    "averaged": collections.OrderedDict([("n_averaged", torch.tensor(5))] + list(under("module.").items())),
    "wrapped": under("model.module._orig_mod."),
    "nested": under("algorithm.student."),
    "mixed": mixed,
    "two": {**state(), **under("ema.")},
    "profiled": {**state(), "total_ops": torch.zeros(1, dtype=torch.float64), "total_params": torch.zeros(1, dtype=torch.float64),
                 "cells.0.total_ops": torch.zeros(1, dtype=torch.float64)},
    "beside": {**state(), "epoch": 3, "best": 97.5, "note": None},
    "shared": {**plain, "again": plain["stem.0.weight"], "part": plain["stem.0.weight"][1]},
    "unsupported": collections.OrderedDict([("stem.0.weight", torch.eye(2).to_sparse())]),
    "class": {"model": state(), "loader": torch.utils.data.RandomSampler([1])},
}
for name, content in files.items():
    torch.save(content, HERE / (name + ".pt"))
torch.save({"model": state(), "seen": {1, 2}}, HERE / "protocol4.pt", pickle_protocol=4)
