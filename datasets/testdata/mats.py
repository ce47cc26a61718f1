"""Writes MATLAB files as ImageNet's development kit has one, of three classes and one above them.

    pip install scipy==1.17.1 && python mats.py
"""
import pathlib

import numpy
from scipy.io import savemat

HERE = pathlib.Path(__file__).resolve().parent
kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O"), ("children", "O"), ("wordnet_height", "O")]
synsets = numpy.array([
    (1.0, "n02119789", "kit fox, Vulpes macrotis", "small grey fox", 0.0, numpy.array([]), 0.0),
    (2.0, "n01440764", "tench, Tinca tinca", "a fish", 0.0, numpy.array([]), 0.0),
    (3.0, "n03000684", "chain saw", "a saw", 0.0, numpy.array([]), 0.0),
    (4.0, "n00001740", "entity", "that which is", 3.0, numpy.array([1.0, 2.0, 3.0]), 9.0),
], dtype=kinds).reshape(4, 1)
for name, packed in ("synsets", True), ("synsets-plain", False):
    savemat(HERE / (name + ".mat"), {"other": numpy.eye(3), "synsets": synsets}, do_compression=packed)
