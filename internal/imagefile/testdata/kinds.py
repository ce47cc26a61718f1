"""Writes small images in many formats to kinds/, and the pixels that Pillow decodes from them to kinds.safetensors.

    pip install pillow==13.0.0 numpy safetensors tifffile imagecodecs && python kinds.py
"""
import io
import pathlib
import struct

import numpy
import tifffile
from PIL import Image, ImageOps
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "kinds"
draw = numpy.random.default_rng(7)
photo = Image.fromarray(draw.integers(0, 256, (5, 6, 3), dtype="uint8")).resize((29, 23), Image.BICUBIC)
grey = photo.convert("L")
palette = photo.convert("P", palette=Image.ADAPTIVE, colors=13)
alpha = photo.copy()
alpha.putalpha(grey)
expected = {}


def write(name, data, want=None):
    (OUT / name).write_bytes(data)
    opened = Image.open(OUT / name)
    expected[name] = numpy.asarray(ImageOps.exif_transpose(opened).convert("RGB")) if want is None else numpy.ascontiguousarray(want)


def encoded(form, image=photo, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


# WebP: still and animated, with and without loss, of even and odd sizes, with frames smaller than the canvas.
for size in (28, 22), (29, 23), (1, 1), (2, 2), (3, 1), (1, 4):
    write("lossy-%dx%d.webp" % size, encoded("WEBP", photo.resize(size), quality=70))
write("alpha.webp", encoded("WEBP", alpha, quality=80))
write("animated.webp", encoded("WEBP", save_all=True, append_images=[photo.rotate(90)], duration=10))
write("animated-lossless.webp", encoded("WEBP", save_all=True, append_images=[photo.rotate(90)], duration=10, lossless=True))
write("animated-alpha.webp", encoded("WEBP", alpha, save_all=True, append_images=[alpha.rotate(90)], duration=10))


def chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


still = encoded("WEBP", photo.crop((0, 0, 11, 8)), quality=75)
u24 = lambda v: struct.pack("<I", v)[:3]
frame = u24(3) + u24(2) + u24(10) + u24(7) + u24(100) + b"\0" + still[12:]
body = b"WEBP" + chunk(b"VP8X", b"\x02\0\0\0" + u24(24) + u24(18)) + chunk(b"ANIM", b"\xff\xff\xff\xff\0\0") + chunk(b"ANMF", frame)
write("small-frame.webp", chunk(b"RIFF", body))


# BMP
def bitmap(bits, compression, rows, masks=b"", colours=b"", size=(9, 6), head=40, down=False):
    data, offset = b"".join(rows), 14 + head + (len(masks) if head == 40 else 0) + len(colours)
    h = struct.pack("<IiiHHIIiiII", head, size[0], -size[1] if down else size[1], 1, bits, compression, len(data), 2835, 2835, len(colours) // 4, 0)
    if head > 40:
        h += masks + b"\0" * (head - 40 - len(masks))
    else:
        h += masks
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + h + colours + data


def padded(row):
    return row + b"\0" * (-len(row) % 4)


def lines(kind, per=1):
    return [padded(draw.integers(0, numpy.iinfo(kind).max + 1, 9 * per, dtype=kind).tobytes()) for _ in range(6)]


colours = b"".join(bytes([k * 7 % 256, k * 3 % 256, k, 0]) for k in range(256))
sixteen = b"".join(bytes([k * 16, 255 - k * 16, k, 0]) for k in range(16))
masks = lambda *m: struct.pack("<%dI" % len(m), *m)
write("555.bmp", bitmap(16, 0, lines("uint16")))
write("565.bmp", bitmap(16, 3, lines("uint16"), masks(0xF800, 0x7E0, 0x1F)))
write("565-v5.bmp", bitmap(16, 3, lines("uint16"), masks(0xF800, 0x7E0, 0x1F, 0), head=124))
write("555-masks.bmp", bitmap(16, 3, lines("uint16"), masks(0x7C00, 0x3E0, 0x1F), head=56, down=True))
write("24.bmp", bitmap(24, 0, lines("uint8", 3), down=True))
write("24-short.bmp", bitmap(24, 0, lines("uint8", 3))[:-1])
write("24-v2.bmp", bitmap(24, 0, lines("uint8", 3), head=64))
write("32.bmp", bitmap(32, 0, lines("uint32")))
write("32-bgra.bmp", bitmap(32, 3, lines("uint32"), masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000), head=124))
write("32-rgba.bmp", bitmap(32, 3, lines("uint32"), masks(0xFF, 0xFF00, 0xFF0000, 0xFF000000), head=108))
write("32-xbgr.bmp", bitmap(32, 3, lines("uint32"), masks(0xFF000000, 0xFF0000, 0xFF00)))
write("32-zero.bmp", bitmap(32, 3, lines("uint32"), masks(0, 0, 0, 0), head=108))
write("1.bmp", bitmap(1, 0, [padded(bytes(draw.integers(0, 256, 2, dtype="uint8"))) for _ in range(6)], colours=b"\x10\x20\x30\0\xff\xf0\xe0\0"))
write("1-grey.bmp", bitmap(1, 0, [padded(bytes(draw.integers(0, 256, 2, dtype="uint8"))) for _ in range(6)], colours=b"\0\0\0\0\xff\xff\xff\0"))
write("4.bmp", bitmap(4, 0, [padded(bytes(draw.integers(0, 256, 5, dtype="uint8"))) for _ in range(6)], colours=sixteen))
write("8-few.bmp", bitmap(8, 0, [padded(bytes(draw.integers(0, 16, 9, dtype="uint8"))) for _ in range(6)], colours=sixteen))
os2 = struct.pack("<IHHHH", 12, 9, 6, 1, 8)
os2_colours = b"".join(colours[4 * k:4 * k + 3] for k in range(256))
write("os2.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 26 + 768) + os2 + os2_colours + b"".join(padded(bytes(range(k, k + 9))) for k in range(6)))
full8 = [bytes([9, k]) + b"\0\0" for k in range(2)] + [b"\0\5abcde\0\4\7\0\0", b"\0\4wxyz\5\3\0\0", b"\0\2\3\0", b"\6\x11\0\0", bytes([9, 5]) + b"\0\1"]
write("rle8.bmp", bitmap(8, 1, full8, colours=colours))
full4 = [bytes([9, 0x12]) + b"\0\0", b"\0\5\x12\x34\x50\0\4\x67\0\0", b"\0\3\x9a\xb0\6\xcd\0\0", b"\0\2\3\0\6\xef\0\0", bytes([9, 0x34]) + b"\0\0", bytes([9, 0x5f]) + b"\0\1"]
write("rle4.bmp", bitmap(4, 2, full4, colours=sixteen))

# GIF
gif = bytearray(encoded("GIF", palette))
write("palette.gif", bytes(gif))
write("interlaced.gif", encoded("GIF", palette, interlace=True))
write("animated.gif", encoded("GIF", palette, save_all=True, append_images=[palette.rotate(180)]))
write("transparent.gif", encoded("GIF", palette, transparency=3))
larger = bytearray(encoded("GIF", palette, interlace=False))
larger[6:10] = struct.pack("<HH", 40, 30)
write("small-frame.gif", bytes(larger))
smaller = bytearray(encoded("GIF", palette, interlace=False))
smaller[6:10] = struct.pack("<HH", 5, 4)
write("large-frame.gif", bytes(smaller))
clear = bytearray(encoded("GIF", palette, transparency=5, interlace=False))
clear[6:10] = struct.pack("<HH", 40, 30)
write("small-frame-transparent.gif", bytes(clear))
moved = bytearray(larger)
at = moved.index(b"\x2c\0\0\0\0")
moved[at + 1:at + 5] = struct.pack("<HH", 7, 3)
write("moved-frame.gif", bytes(moved))
write("no-end.gif", bytes(gif[:-1]))
bare = bytearray(gif)
size = 3 * (2 << (bare[10] & 7))
bare[10] &= 0x7F
write("no-palette.gif", bytes(bare[:13] + bare[13 + size:]))

# JPEG with faults.
jpeg = encoded("JPEG", restart_marker_blocks=1, quality=90)
mark = jpeg.index(b"\xff\xd1")
write("restart-lost.jpg", jpeg[:mark] + jpeg[mark + 2:])
write("restart-rubbish.jpg", jpeg[:mark] + b"\x11\x22" + jpeg[mark:])
write("restart-twice.jpg", jpeg[:mark] + jpeg[mark:mark + 2] + jpeg[mark:])
write("restart-other.jpg", jpeg[:mark] + b"\xff\xd5" + jpeg[mark + 2:])
table = jpeg.index(b"\xff\xdb")
write("rubbish.jpg", jpeg[:table] + b"\x33\x44\x55" + jpeg[table:])
write("filled.jpg", jpeg[:table] + b"\xff\xff\xff" + jpeg[table:])
write("behind.jpg", jpeg + b"more behind it")
broken = bytearray(encoded("JPEG", quality=90))
scan = broken.index(b"\xff\xda")
broken[scan + 60:scan + 64] = b"\x7e\x7f\x7e\x7f"
write("broken-codes.jpg", bytes(broken))
write("two.mpo", encoded("MPO", save_all=True, append_images=[photo.rotate(180)]))

# TIFF
for compression in "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate":
    write("%s.tiff" % compression, encoded("TIFF", compression=compression))
write("grey.tiff", encoded("TIFF", grey))
write("palette.tiff", encoded("TIFF", palette))
write("alpha.tiff", encoded("TIFF", alpha))
write("bits.tiff", encoded("TIFF", grey.convert("1")))
write("group4.tiff", encoded("TIFF", grey.convert("1"), compression="group4"))
write("two.tiff", encoded("TIFF", save_all=True, append_images=[photo.rotate(180)]))
write("turned.tiff", encoded("TIFF", tiffinfo={0x112: 6}))
write("predictor.tiff", encoded("TIFF", compression="tiff_lzw", tiffinfo={317: 2}))
write("cmyk.tiff", encoded("TIFF", photo.convert("CMYK"), compression="raw"))
write("grey-alpha.tiff", encoded("TIFF", alpha.convert("LA"), compression="tiff_lzw"))
write("jpeg.tiff", encoded("TIFF", compression="jpeg", quality=90))
write("ycbcr.tiff", encoded("TIFF", photo.convert("YCbCr"), compression="raw"))

# Netpbm
wide = numpy.asarray(grey).astype(numpy.uint16) * 256 + 7
h, w = wide.shape
write("p6.ppm", encoded("PPM"))
write("p5.pgm", encoded("PPM", grey))
write("p4.pbm", encoded("PPM", grey.convert("1")))
write("p6-100.ppm", b"P6 # a note\n%d %d\n# another\n100\n" % (w, h) + (numpy.asarray(photo) // 3).tobytes())
write("p6-16.ppm", b"P6\n%d %d\n65535\n" % (w, h) + (numpy.asarray(photo).astype(">u2") * 256 + 9).astype(">u2").tobytes())
write("p5-16.pgm", b"P5\n%d %d\n65535\n" % (w, h) + wide.astype(">u2").tobytes(), numpy.repeat((wide >> 8).astype("uint8")[..., None], 3, 2))
write("p5-7.pgm", b"P5\n%d %d\n7\n" % (w, h) + (numpy.asarray(grey) >> 5).tobytes())
write("p3.ppm", b"P3\n%d %d\n200\n" % (w, h) + " ".join(str(int(v) * 200 // 255) for v in numpy.asarray(photo).reshape(-1)).encode())
write("p2.pgm", b"P2 %d %d 255 " % (w, h) + "\n".join(map(str, numpy.asarray(grey).reshape(-1))).encode())
write("p1.pbm", b"P1\n# bits\n%d %d\n" % (w, h) + "".join("01"[int(v < 128)] for v in numpy.asarray(grey).reshape(-1)).encode())

# PNG without its end, with a wrong checksum of its pixels, and with something behind it
png = encoded("PNG")
write("no-end.png", png[:-12])
write("cut-end.png", png[:-5])
write("behind.png", png + b"more behind it")
idat = png.index(b"IDAT")
sum_at = idat + 4 + struct.unpack(">I", png[idat - 4:idat])[0]
write("checksum.png", png[:sum_at] + bytes([png[sum_at] ^ 1]) + png[sum_at + 1:])

exif = Image.Exif()
exif[0x0112] = 6
turned = encoded("JPEG", exif=exif, quality=90)
app1 = turned.index(b"\xff\xe1")
write("rubbish-turned.jpg", turned[:app1] + b"\x12\x34" + turned[app1:])

# TIFF of other programs: in tiles, planes, either byte order, of more and fewer bits


def tiff(name, array, **options):
    tifffile.imwrite(OUT / name, array, metadata=None, **options)
    write(name, (OUT / name).read_bytes())


colours = draw.integers(0, 256, (21, 19, 3), dtype="uint8")
deep = draw.integers(0, 65536, (21, 19, 3), dtype="uint16")
four = draw.integers(0, 256, (21, 19, 4), dtype="uint8")
tiff("tiles.tif", colours, tile=(16, 16), photometric="rgb", compression="lzw", predictor=2)
tiff("planes.tif", numpy.moveaxis(colours, 2, 0), planarconfig="separate", photometric="rgb", rowsperstrip=8)
tiff("planes-tiles.tif", numpy.moveaxis(colours, 2, 0), planarconfig="separate", photometric="rgb", tile=(16, 16), compression="zlib")
tiff("deep.tif", deep, byteorder=">", photometric="rgb", compression="zlib", predictor=2)
tiff("white.tif", colours[..., 0], photometric="miniswhite")
tiff("dimmed.tif", four, photometric="rgb", extrasamples=["assocalpha"])
tiff("tiles-jpeg.tif", numpy.asarray(photo), tile=(16, 16), photometric="rgb", compression="jpeg")
tiff("big.tif", colours, bigtiff=True, photometric="rgb", rowsperstrip=5)
tiff("float.tif", draw.normal(128, 120, (21, 19)).astype("float32"), photometric="minisblack")
tiff("long.tif", draw.integers(0, 400, (21, 19), dtype="uint32"), photometric="minisblack")

save_file(expected, HERE / "kinds.safetensors", {"made by": "kinds.py with Pillow 13.0.0 (libjpeg-turbo 3.2.0, libwebp 1.6.0, libtiff)"})
