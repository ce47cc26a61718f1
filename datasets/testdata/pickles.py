"""Writes the pickled batches that the tests read, beside this script, as the Python that runs it does.

    python2 -m pip install numpy==1.16.6     python2 pickles.py python2
    python3 -m pip install numpy==1.26.4     python3 pickles.py numpy1
    python3 -m pip install numpy==2.4.6      python3 pickles.py numpy2

Each holds 8 images whose pixel (i, c, y, x) is (37 i + 85 c + 11 y + 3 x) mod 256, with the labels
i mod 10. python2 writes the form of the published files: cPickle's protocol 2, whose texts are
byte strings. The others are what Python 3 makes of such a file read with encoding="bytes" (keys
that are bytes) or with encoding="latin1" (keys that are texts), by protocol.
"""
import os
import sys

import numpy as np

try:
    import cPickle as pickle
except ImportError:
    import pickle

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def batch(key):
    i, c, y, x = np.indices((8, 3, 32, 32))
    pixels = ((37 * i + 85 * c + 11 * y + 3 * x) % 256).astype(np.uint8).reshape(8, 3072)
    return {
        key("batch_label"): key("testing batch 1 of 1"),
        key("labels"): [n % 10 for n in range(8)],
        key("data"): pixels,
        key("filenames"): [key("image_%d.png" % n) for n in range(8)],
    }


def batch100(key):
    b = batch(key)
    b[key("fine_labels")] = b.pop(key("labels"))
    b[key("coarse_labels")] = [19 - n for n in range(8)]
    return b


def meta100(key):
    import re
    go = open(os.path.join(HERE, "..", "cifar.go")).read()
    names = re.search("cifar100Classes = `([^`]*)`", go).group(1).split()
    return {key("fine_label_names"): [key(n) for n in names], key("coarse_label_names"): [key("a"), key("b")]}


def meta(key):
    return {
        key("num_cases_per_batch"): 10000,
        key("label_names"): [key(name) for name in CLASSES],
        key("num_vis"): 3072,
    }


def write(name, value, protocol):
    with open(os.path.join(HERE, name + ".pickle"), "wb") as f:
        pickle.dump(value, f, protocol)


def main(variant):
    if variant == "python2":
        write("python2", batch(str), 2)
        write("python2.meta", meta(str), 2)
        return
    for protocol in 2, 4, 5:
        write("%s-text-%d" % (variant, protocol), batch(str), protocol)
    write(variant + "-bytes-4", batch(str.encode), 4)
    write(variant + ".meta", meta(str), 4)
    write("cifar100-" + variant, batch100(str.encode), 2)
    write("cifar100-%s.meta" % variant, meta100(str), 2)


main(sys.argv[1])
