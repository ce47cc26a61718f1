"""Reads the folder of a run with TensorBoard's own reader and prints what it finds: {"scalars": {tag: [[step, value], ...]},
"histograms": {tag: [steps]}, "images": {tag: [steps]}, "texts": {tag: [the texts]}, "hparams": {key: value}}."""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

events = EventAccumulator(sys.argv[1], size_guidance=dict.fromkeys(("scalars", "histograms", "images", "tensors"), 0))
events.Reload()
tags = events.Tags()
session = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
hparams = plugin_data_pb2.HParamsPluginData.FromString(session).session_start_info.hparams
json.dump({
    "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "histograms": {tag: [e.step for e in events.Histograms(tag)] for tag in tags["histograms"]},
    "images": {tag: [e.step for e in events.Images(tag)] for tag in tags["images"]},
    "texts": {tag: [e.tensor_proto.string_val[0].decode() for e in events.Tensors(tag)] for tag in tags["tensors"]},
    "hparams": {key: getattr(value, value.WhichOneof("kind")) for key, value in hparams.items()},
}, sys.stdout)
