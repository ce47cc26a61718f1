"""Cuts the photographs of scikit-learn 1.9.1 to ImageNet's usual size, 500x375, at about its bytes.

    pip install scikit-learn==1.9.1 pillow==13.0.0 && python make.py
"""
import pathlib

import sklearn
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
IMAGES = pathlib.Path(sklearn.__file__).parent / "datasets" / "images"

for name, left, top, quality in ("china", 70, 20, 95), ("flower", 90, 30, 97):
    image = Image.open(IMAGES / (name + ".jpg")).convert("RGB")
    image.crop((left, top, left + 500, top + 375)).save(HERE / (name + ".jpg"), quality=quality, subsampling="4:2:0")
