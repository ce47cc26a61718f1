"""Writes goldens.safetensors: what torchvision's transforms, with the random draw fixed, make of two photographs.

    pip install torchvision==0.16.2 pillow==13.0.0 'numpy<2' safetensors && python make.py
"""
import pathlib

import numpy
import torchvision.transforms.functional as F
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import _apply_op

HERE = pathlib.Path(__file__).resolve().parent
PHOTOS = HERE.parents[2] / "datasets" / "testdata" / "photos"
golden = {}


def planes(image):
    return numpy.ascontiguousarray(numpy.asarray(image).transpose(2, 0, 1))


def name(*parts):
    return "/".join("%.17g" % p if isinstance(p, float) else str(p) for p in parts)


china, flower = (Image.open(PHOTOS / (n + ".jpg")).convert("RGB") for n in ("china", "flower"))

# Operations, on images of CIFAR's size and on one that is neither square nor even.
small = {"china": china.resize((32, 32), Image.BICUBIC), "flower": flower.crop((180, 100, 217, 129))}
for n, image in small.items():
    golden[name("image", n)] = planes(image)
    h, w = image.size[1], image.size[0]
    for op, values in {
        "ShearX": [0.1, -0.3, 0.0], "ShearY": [0.2333333333333333, -0.3], "TranslateX": [5.0, -14.0, 0.0], "TranslateY": [3.0, -9.0],
        "Rotate": [30.0, -16.666666666666668, 3.3333332538604736, 0.0], "Brightness": [-0.9, -0.3, 0.5, 0.9, 0.0], "Color": [-0.9, -0.4, 0.3, 0.9],
        "Contrast": [-0.9, -0.2, 0.6, 0.9], "Sharpness": [-0.9, -0.1, 0.7, 0.9], "Posterize": [8.0, 6.0, 4.0], "Solarize": [255.0, 141.66666, 28.333333, 0.0],
        "AutoContrast": [0.0], "Equalize": [0.0], "Invert": [0.0],
    }.items():
        for v in values:
            golden[name(op, n, v)] = planes(_apply_op(image, op, v, InterpolationMode.NEAREST, None))
    for v in -0.5, -0.2, -0.013, 0.0, 0.07, 0.35, 0.5:
        golden[name("Hue", n, v)] = planes(F.adjust_hue(image, v))
# Flat colours, where there is nothing to stretch, and few of them.
flat = Image.new("RGB", (8, 8), (200, 17, 17))
few = small["flower"].crop((0, 0, 9, 7)).quantize(5).convert("RGB")
for n, image in ("flat", flat), ("few", few):
    golden[name("image", n)] = planes(image)
    for op in "AutoContrast", "Equalize":
        golden[name(op, n, 0.0)] = planes(_apply_op(image, op, 0.0, InterpolationMode.NEAREST, None))
    for v in 0.3, -0.4:
        golden[name("Color", n, v)] = planes(_apply_op(image, "Color", v, InterpolationMode.NEAREST, None))
        golden[name("Hue", n, v)] = planes(F.adjust_hue(image, v))

# Every colour that differs in hue: all pairs of two channels, the third fixed.
cube = numpy.zeros((3, 256, 256), numpy.uint8)
cube[0] = numpy.arange(256)[:, None]
cube[1] = numpy.arange(256)[None]
cube[2] = 90
golden["Hues/0.12"] = planes(F.adjust_hue(Image.fromarray(cube.transpose(1, 2, 0)), 0.12))[:, ::5, ::3].copy()

# Resizing of parts of a photograph, smaller and larger, in one direction and in both. It is a PNG, which all decode alike.
part = flower.crop((120, 70, 376, 262))
part.save(HERE / "flower.png", optimize=True)
for box, size in [
    ((0, 0, 256, 192), (64, 64)), ((37, 11, 211, 180), (64, 64)), ((100, 50, 131, 77), (64, 64)), ((100, 20, 164, 180), (64, 61)),
    ((60, 120, 160, 184), (57, 64)), ((10, 10, 11, 12), (9, 7)), ((100, 100, 172, 154), (53, 45)), ((0, 0, 256, 192), (5, 3)),
]:
    for mode in "bilinear", "bicubic":
        l, t, r, b = box
        golden[name("resize", mode, l, t, r, b, size[0], size[1])] = planes(
            F.resized_crop(part, t, l, b - t, r - l, (size[1], size[0]), InterpolationMode(mode)))

save_file(golden, HERE / "goldens.safetensors", {"made by": "make.py with torchvision 0.16.2, Pillow 13.0.0"})
print(len(golden), "goldens")
