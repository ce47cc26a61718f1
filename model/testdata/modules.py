"""Reads from standard input {"models": {file: batch}, "images": {batch: [N, C, H, W, numbers]}} as JSON. Imports each file.py, loads
file.pt strictly, and writes {file: {"logits": [...], "classes": [...]}}, in float64. With a folder as the argument, PyTorch is the stand-in of that folder."""
import importlib.util
import json
import sys

sys.path[:0] = sys.argv[1:]
import torch  # noqa: E402

task = json.load(sys.stdin)
out = {}
for file, batch in task["models"].items():
    spec = importlib.util.spec_from_file_location("exported", file + ".py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    network = exported.Network()
    network.load_state_dict(torch.load(file + ".pt", weights_only=True), strict=True)
    shape, values = task["images"][batch]
    n, c, h, w = shape
    nested = [[[values[((i * c + j) * h + y) * w:((i * c + j) * h + y + 1) * w] for y in range(h)] for j in range(c)] for i in range(n)]
    logits = network.double().eval()(torch.tensor(nested, dtype=torch.float64))
    out[file] = {"logits": [v for row in logits.tolist() for v in row], "classes": exported.CLASSES}
json.dump(out, sys.stdout)
