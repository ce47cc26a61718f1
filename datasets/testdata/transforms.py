"""Writes transforms.safetensors: torchvision's transforms with their random draws fixed, on a photograph.

    pip install torchvision==0.16.2 pillow==13.0.0 'numpy<2' safetensors && python transforms.py
"""
import os
import pathlib
from unittest import mock

import numpy
import torch
import torchvision
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import v2

torchvision.disable_beta_transforms_warning()
HERE = pathlib.Path(__file__).resolve().parent
photo = Image.open(HERE.parents[1] / "internal" / "raster" / "testdata" / "flower.png").convert("RGB")
image = photo.crop((60, 50, 180, 170)).resize((32, 32), Image.BICUBIC)
MEAN, STD = (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)
golden = {}


def planes(picture):
    return numpy.ascontiguousarray(numpy.asarray(picture).transpose(2, 0, 1))


golden["image"] = planes(image)

# Crop with padding, flip, normalisation: name = top/left of the crop in the padded image, flip, fill.
for top, left, flip, fill in (0, 0, 0, 0), (8, 3, 1, 128), (4, 4, 1, 0), (1, 7, 0, 128):
    x = F.crop(F.pad(image, 4, fill=fill), top, left, 32, 32)
    x = F.hflip(x) if flip else x
    golden["crop/%d/%d/%d/%d" % (top, left, flip, fill)] = F.normalize(F.to_tensor(x), MEAN, STD).numpy()

# All sub-policies, both operations applied, the signs by turns.
for policy in T.AutoAugmentPolicy.CIFAR10, T.AutoAugmentPolicy.IMAGENET:
    t = T.AutoAugment(policy)
    for k in range(25):
        draw = k, torch.zeros(2), torch.tensor([k % 2, k // 2 % 2])
        with mock.patch.object(T.AutoAugment, "get_params", return_value=draw):
            golden["auto/%s/%d" % (policy.value, k)] = planes(t(image))

# RandAugment of two operations, each in turn the first: operation, magnitude, negative.
for magnitude in 5, 9, 30:
    for op in range(14):
        negative = (op + magnitude) % 2
        draws = iter([op, negative, (op + 3) % 14, 1 - negative])
        t = T.RandAugment(2, magnitude)
        signed = [entry[1] for entry in t._augmentation_space(31, (32, 32)).values()]
        sequence = []
        for o, s in (op, negative), ((op + 3) % 14, 1 - negative):
            sequence += [o] + ([s] if signed[o] else [])
        draws = iter(sequence)
        with mock.patch("torch.randint", side_effect=lambda *a, **k: torch.tensor([next(draws)])):
            golden["rand/%d/%d/%d" % (magnitude, op, negative)] = planes(t(image))

# Colour jitter: order, brightness, contrast, saturation, hue.
for order, b, c, s, h in ([0, 1, 2, 3], 1.3, 0.7, 1.2, 0.1), ([3, 1, 0, 2], 0.6, 1.4, 0.61, -0.2), ([2, 3, 1, 0], 1.4, 1.01, 0.9, 0.5), ([1, 0, 3, 2], 0.9, 0.65, 1.39, -0.03):
    with mock.patch.object(T.ColorJitter, "get_params", return_value=(torch.tensor(order), b, c, s, h)):
        golden["jitter/%d%d%d%d/%g/%g/%g/%g" % (*order, b, c, s, h)] = planes(T.ColorJitter(0.4, 0.4, 0.4, 0.5)(image))

# Resized crops of the photograph: top, left, height, width, flip.
for top, left, height, width, flip in (20, 30, 150, 190, 0), (100, 3, 40, 37, 1):
    for mode in "bilinear", "bicubic":
        x = F.resized_crop(photo, top, left, height, width, (48, 48), T.InterpolationMode(mode))
        golden["part/%s/%d/%d/%d/%d/%d" % (mode, top, left, height, width, flip)] = planes(F.hflip(x) if flip else x)

# The view: the shorter side resized, the middle cut out.
for resize, size in (40, 32), (37, 32), (300, 48), (48, 48):
    for mode in "bilinear", "bicubic":
        golden["view/%s/%d/%d" % (mode, resize, size)] = planes(F.center_crop(F.resize(photo, resize, T.InterpolationMode(mode)), size))

# The part that a resized crop falls back to: height, width of the image, then top, left, height, width.
rows = []
for h, w in (1, 1000), (1000, 1), (10, 30), (30, 11), (100, 110), (7, 40), (41, 8):
    with mock.patch("torch.randint", side_effect=AssertionError):  # a scale beyond the image: no try succeeds
        rows.append((h, w) + tuple(T.RandomResizedCrop.get_params(torch.zeros(3, h, w), [4.0, 4.0], [3 / 4, 4 / 3])))
golden["fallback"] = numpy.array(rows, numpy.float32)

# Erasing: top, left, height, width.
x = F.normalize(F.to_tensor(image), MEAN, STD)
golden["erase/5/9/11/20"] = F.erase(x, 5, 9, 11, 20, 0).numpy()

# Mixup and cutmix of four images and labels; of cutmix the share, x and y that are drawn.
batch = torch.rand(4, 3, 8, 10, generator=torch.Generator().manual_seed(0))
labels = torch.tensor([3, 0, 4, 1])
golden["mix/batch"] = batch.numpy()


class Fixed:
    def __init__(self, share):
        self.share = share

    def sample(self, _):
        return torch.tensor(self.share)


for share in 0.3, 0.85:
    t = v2.MixUp(alpha=1.0, num_classes=5)
    t._dist = Fixed(share)
    x, y = t(batch, labels)
    golden["mix/mixup/%g/images" % share], golden["mix/mixup/%g/labels" % share] = x.numpy(), y.numpy()
for share, left, top in (0.3, 4, 6), (0.85, 0, 7), (0.5, 9, 0):
    t = v2.CutMix(alpha=1.0, num_classes=5)
    t._dist = Fixed(share)
    draws = iter([left, top])
    with mock.patch("torch.randint", side_effect=lambda *a, **k: torch.tensor([next(draws)])):
        x, y = t(batch, labels)
    key = "mix/cutmix/%g/%d/%d" % (share, left, top)
    golden[key + "/images"], golden[key + "/labels"] = x.numpy(), y.numpy()

# Label smoothing on mixed labels: the loss of logits for the first mixup's labels.
logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
golden["loss/logits"] = logits.float().numpy()
y = torch.from_numpy(golden["mix/mixup/0.3/labels"]).double()
golden["loss/smooth"] = torch.nn.functional.cross_entropy(logits.float().double(), y, label_smoothing=0.1).float().reshape(1).numpy()

save_file(golden, HERE / "transforms.safetensors", {"made by": "transforms.py with torchvision 0.16.2, Pillow 13.0.0"})
os.chmod(HERE / "transforms.safetensors", 0o644)
print(len(golden), "goldens")
