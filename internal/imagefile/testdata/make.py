"""Writes a small photograph in every kind of file, and as expected.safetensors what Pillow makes of each.

    pip install pillow==13.0.0 'numpy<2' safetensors && python make.py
"""
import pathlib

import numpy
from PIL import Image, ImageOps
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
PHOTO = HERE.parents[2] / "datasets" / "testdata" / "photos" / "flower.jpg"

small = Image.open(PHOTO).convert("RGB").resize((61, 47), Image.BICUBIC)
tall = small.crop((0, 0, 35, 47))
grey = small.convert("L")
alpha = small.copy()
alpha.putalpha(grey)
wide = numpy.asarray(small).astype(numpy.uint16)
ramp = wide * 256 + 255 - wide  # 16 bits whose high byte is the photograph

expected = {}


def add(name, image, mode="RGB", **options):
    image.save(HERE / name, **options)
    opened = Image.open(HERE / name)
    expected[name] = numpy.asarray(ImageOps.exif_transpose(opened).convert(mode))


def add16(name, array, color):
    """Pillow writes no 16-bit colours, and what it reads of 16-bit grey it clips: here the high byte is meant."""
    import struct
    import zlib
    h, w = array.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, color, 0, 0, 0))
    (HERE / name).write_bytes(png + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b""))
    high = (array >> 8).astype(numpy.uint8)
    expected[name] = numpy.ascontiguousarray(high[..., :3]) if high.ndim == 3 else numpy.repeat(high[..., None], 3, 2)


for sampling in "4:4:4", "4:2:2", "4:2:0":
    add("jpeg-%s.jpg" % sampling.replace(":", ""), small, quality=90, subsampling=sampling)
add("jpeg-odd-420.jpg", small.crop((3, 5, 4, 8)), quality=90, subsampling="4:2:0")
add("jpeg-progressive.jpg", small, quality=90, progressive=True)
add("jpeg-grey.jpg", grey, quality=90)
add("jpeg-cmyk.jpg", small.convert("CMYK"), quality=90)
add("jpeg-rgb.jpg", small, quality=90, keep_rgb=True)
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = o
    exif[0x010e] = "a note"
    add("exif-%d.jpg" % o, tall, quality=90, exif=exif)
exif = Image.Exif()
exif[0x0112] = 6
add("exif-6.png", tall, exif=exif)
add("exif-6.webp", tall, lossless=True, exif=exif)
add("rgb.png", small)
add("rgba.png", alpha)
add("grey.png", grey)
add("grey-alpha.png", alpha.convert("LA"))
add("bit.png", grey.convert("1"))
add("palette.png", small.convert("P", palette=Image.ADAPTIVE, colors=32))
add("palette.gif", small.convert("P", palette=Image.ADAPTIVE, colors=200))
add("palette.bmp", small.convert("P", palette=Image.ADAPTIVE, colors=200))
add("rgb.bmp", small)
add("grey.bmp", grey)
add("lossless.webp", small, lossless=True)
add("lossless-alpha.webp", alpha, lossless=True, exact=True)
add("lossy.webp", small, quality=90)
add16("rgb16.png", ramp, 2)
add16("grey16.png", ramp[..., 1], 0)
add16("rgba16.png", numpy.concatenate([ramp, ramp[..., :1]], 2), 6)
save_file(expected, HERE / "expected.safetensors", {"made by": "make.py with Pillow 13.0.0 (libjpeg-turbo 3.2.0, libwebp 1.6.0)"})
