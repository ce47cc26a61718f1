#!/usr/bin/env python3
"""Does fine-tuning help? Trains a small network on the digits 0 to 4, then learns 5 to 9 from few images of each: fine-tuned from its
weights, from new weights, and by a linear probe. Prints the table of docs/finetuning.md.

    transfer.py [SEEDS]    5 by default; HDAS=command names the program, WORK=folder keeps its runs
"""
import gzip
import json
import math
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
HDAS = os.environ.get("HDAS", str(ROOT / "bin" / "hdas"))
SIZE, EACH, LEARN = 28, 500, 400  # of the embedded digits: pixels, images of a class, those for training
SIZES = [5, 10, 20, 50]
NETWORK = ["network.channels=8", "network.layers=5", "network.auxiliary=false", "data.size=16"]


def png(pixels):
    """A grey picture of SIZE x SIZE bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[y * SIZE:(y + 1) * SIZE] for y in range(SIZE))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def folder(data, path, classes, learn):
    """Writes a data set: the first `learn` training images of each class, and all its test images."""
    for c in classes:
        for split, numbers in (("train", range(learn)), ("test", range(LEARN, EACH))):
            where = path / split / str(c)
            where.mkdir(parents=True)
            for i in numbers:
                start = 10 * EACH + (c * EACH + i) * SIZE * SIZE
                (where / ("%03d.png" % i)).write_bytes(png(data[start:start + SIZE * SIZE]))
    return path


def hdas(*words):
    p = subprocess.run([HDAS] + [str(w) for w in words] + ["--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if p.returncode:
        sys.exit("transfer: %s\n%s" % (" ".join(map(str, words)), p.stderr))
    return json.loads(p.stdout)


def settings(*words):
    return [w for setting in words for w in ("--set", setting)]


def quantile(p, df):
    """The p-quantile of Student's t distribution, by Simpson's rule and bisection."""
    def below(t, n=2000):
        density = [(1 + (i * t / n) ** 2 / df) ** (-(df + 1) / 2) for i in range(n + 1)]
        area = t / n / 3 * (density[0] + density[-1] + 4 * sum(density[1:-1:2]) + 2 * sum(density[2:-1:2]))
        return 0.5 + area * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < p else (low, middle)
    return low


def difference(a, b):
    """Welch's 95 % interval of the difference of two means."""
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    middle = statistics.mean(a) - statistics.mean(b)
    if va + vb == 0:
        return middle, middle
    df = (va + vb) ** 2 / (va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1))
    half = quantile(0.975, df) * math.sqrt(va + vb)
    return middle - half, middle + half


def main(seeds, work):
    data = gzip.decompress((ROOT / "datasets" / "digits" / "digits.bin.gz").read_bytes())
    first = folder(data, work / "0-4", range(5), LEARN)
    source = hdas("train", "DARTS_V2", "--config", "tiny-train", "--data-dir", first, "--out", work / "source",
                  *settings("data.name=folder", "data.flip=false", "train.epochs=4", *NETWORK))
    print("trained on 0 to 4: %.1f %%" % (100 * source["test"]["top1"]), file=sys.stderr)
    print("| images of each class | fine-tuned | new weights | probe | fine-tuned minus new weights, 95 % interval |\n|---|---|---|---|---|")
    for n in SIZES:
        second = folder(data, work / ("5-9-%d" % n), range(5, 10), n)
        common = ["--data-dir", second, "--seeds", seeds]
        runs = {
            "tuned": ["finetune", work / "source", *settings("data.flip=false")],
            "new": ["train", "DARTS_V2", "--config", "finetune", *settings("data.flip=false", *NETWORK)],
            "probe": ["finetune", work / "source", "--probe"],
        }
        found = {}
        for name, words in runs.items():
            result = hdas(*words, *common, "--out", work / ("%s-%d" % (name, n)))
            found[name] = [100 * run["test"]["top1"] for run in result["seeds"]]
        cells = ["%.1f +- %.1f %%" % (statistics.mean(v), statistics.stdev(v)) for v in found.values()]
        print("| %d | %s | %.1f to %.1f |" % (n, " | ".join(cells), *difference(found["tuned"], found["new"])), flush=True)


if __name__ == "__main__":
    kept = os.environ.get("WORK")
    with tempfile.TemporaryDirectory() as temporary:
        main(int((sys.argv[1:] or ["5"])[0]), pathlib.Path(kept or temporary))
