"""Reads from standard input {"models": {file: batch}, "images": {batch: [N, C, H, W, numbers]}} as JSON. Checks each ONNX model, runs
onnxruntime on its batch, and writes {file: {"logits": [...], "metadata": {...}}}."""
import json
import sys

import numpy as np
import onnx
import onnxruntime

task = json.load(sys.stdin)
batches = {name: np.array(values, np.float64).reshape(shape) for name, (shape, values) in task["images"].items()}
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
out = {}
for file, batch in task["models"].items():
    onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given, = session.get_inputs()
    images = batches[batch].astype({"tensor(float)": np.float32, "tensor(float16)": np.float16}[given.type])
    logits, = session.run(["logits"], {given.name: images})
    first, = session.run(["logits"], {given.name: images[:1]})  # the batch size is free
    assert logits.dtype == images.dtype and np.allclose(first, logits[:1], rtol=1e-2, atol=1e-2), file
    out[file] = {"logits": logits.astype(np.float64).ravel().tolist(), "metadata": session.get_modelmeta().custom_metadata_map}
json.dump(out, sys.stdout)
