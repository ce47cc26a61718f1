#!/usr/bin/env python3
"""Measures images per second of the data pipelines, in turns with torchvision on the same images if it is available.

    bench.py [REPEATS]    measures hdas and, with PYTHON=/path/to/python of an environment with torchvision, torchvision

Both are measured once with one worker and once with one worker for each core.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "datasets" / "testdata" / "photos"
PIPELINES = ["cifar", "cifar-autoaugment", "imagenet", "imagenet-jitter"]


def measure_hdas(cores):
    p = subprocess.run(["go", "test", "-run", "^$", "-bench", "^BenchmarkPipeline$", "-benchtime", "1s", "-cpu", str(cores), "./datasets"],
                       cwd=str(ROOT), stdout=subprocess.PIPE, universal_newlines=True)
    rates = {m[0]: float(m[1]) for m in re.findall(r"^BenchmarkPipeline/(\S+?)(?:-\d+)?\s.*?([\d.]+) images/s", p.stdout, re.M)}
    if p.returncode or sorted(rates) != sorted(PIPELINES):
        sys.exit("bench: go test failed:\n" + p.stdout)
    return rates


def measure_torchvision(python, cores):
    p = subprocess.run([python, __file__, "--torchvision", str(cores)], stdout=subprocess.PIPE, universal_newlines=True)
    if p.returncode:
        sys.exit("bench: %s has no working torchvision; its error is above" % python)
    return json.loads(p.stdout.splitlines()[-1])


def torchvision(cores):
    """Runs in the other Python."""
    import time

    import numpy
    import torch
    import torchvision.transforms as T
    from PIL import Image
    torch.set_num_threads(1)

    def load(path):
        with open(path, "rb") as f:
            return Image.open(f).convert("RGB")

    photos = [PHOTOS / "china.jpg", PHOTOS / "flower.jpg"]
    tiles = [numpy.asarray(load(p))[y:y + 32, x:x + 32].copy() for p in photos for y in range(0, 344, 32) for x in range(0, 469, 32)]

    class Cutout:  # arXiv:1708.04552, in the usual implementation with numpy
        def __call__(self, image):
            h, w = image.shape[1:]
            mask = numpy.ones((h, w), numpy.float32)
            y, x = numpy.random.randint(h), numpy.random.randint(w)
            mask[max(y - 8, 0):y + 8, max(x - 8, 0):x + 8] = 0
            return image * torch.from_numpy(mask)

    class Data(torch.utils.data.Dataset):
        def __init__(self, n, image, transform):
            self.n, self.image, self.transform = n, image, transform

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            return self.transform(self.image(i)), 0

    cifar = [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip()]
    to_values = [T.ToTensor(), T.Normalize((0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)), Cutout()]
    imagenet = [T.RandomResizedCrop(224), T.RandomHorizontalFlip()]
    norm = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    def tile(i):
        return Image.fromarray(tiles[i % len(tiles)])

    def photo(i):
        return load(photos[i % 2])
    rates = {}
    for name, n, batch, image, steps in [
        ("cifar", 6400, 128, tile, cifar + to_values), ("cifar-autoaugment", 6400, 128, tile, cifar + [T.AutoAugment(T.AutoAugmentPolicy.CIFAR10)] + to_values),
        ("imagenet", 512, 32, photo, imagenet + norm), ("imagenet-jitter", 512, 32, photo, imagenet + [T.ColorJitter(0.4, 0.4, 0.4, 0.2)] + norm),
    ]:
        workers = 0 if cores == 1 else cores
        loader = torch.utils.data.DataLoader(Data(n, image, T.Compose(steps)), batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        for epoch in range(2):  # the first one also starts the workers
            start = time.perf_counter()
            for _ in loader:
                pass
        rates[name] = n / (time.perf_counter() - start)
    print(json.dumps(rates))


def spread(rates):
    return "%.0f (%.0f to %.0f)" % (statistics.median(rates), min(rates), max(rates))


def main(repeats):
    python = os.environ.get("PYTHON")
    if not python:
        print("PYTHON names no Python with torchvision; only hdas is measured.")
    print("images/s: median of %d repeats (least to most)" % repeats)
    print("%-20s%6s  %-28s%-28s%s" % ("pipeline", "cores", "hdas", "torchvision" if python else "", "ratio" if python else ""))
    for cores in sorted({1, os.cpu_count()}):
        mine, other = {n: [] for n in PIPELINES}, {n: [] for n in PIPELINES}
        for _ in range(repeats):
            for name, rate in measure_hdas(cores).items():
                mine[name].append(rate)
            for name, rate in measure_torchvision(python, cores).items() if python else ():
                other[name].append(rate)
        for n in PIPELINES:
            print("%-20s%6d  %-28s%-28s%s" % (n, cores, spread(mine[n]), spread(other[n]) if python else "",
                                              "%.1f" % (statistics.median(mine[n]) / statistics.median(other[n])) if python else ""), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--torchvision"]:
        torchvision(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
