"""MNIST and Fashion-MNIST out of their packages, played by tiny folders."""

from __future__ import annotations

import hashlib
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest

from trustworthy import datasets
from trustworthy.core.errors import ChecksumMismatch
from trustworthy.datasets import idx, images, packages


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    @contextmanager
    def unpacked(self: packages.Package):
        yield tmp_path

    monkeypatch.setattr(packages.Package, "unpacked", unpacked)
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUSTWORTHY_DATA", raising=False)
    return tmp_path


def write(folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True)
    md5 = {}
    for name in idx.FILES.values():
        shape = (2, 3, 3) if "images" in name else (2,)
        size = 18 if "images" in name else 2
        content = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape) + bytes(range(size))
        (folder / name).write_bytes(content)
        md5[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return md5


def test_mnist_files_are_verified(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    md5 = write(packaged / "package" / "data")
    with pytest.raises(ChecksumMismatch, match="expected MD5 6bbc9ace"):
        images.mnist()
    monkeypatch.setattr(images, "MNIST_MD5", md5)
    assert images.mnist().x_train.shape == (2, 1, 3, 3)


def test_fashion_arrays_are_verified(packaged: Path) -> None:
    write(packaged / "usr" / "share" / "datasets" / "fashion-mnist")
    assert images.fashion_mnist().y_train.tolist() == [0, 1]
    with pytest.raises(ChecksumMismatch, match=r"fashion-mnist from apt .*expected SHA-256 0b613e0a"):
        datasets.load("fashion-mnist")


def test_local_idx_files(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(packaged / "mnist")
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(packaged))
    found = datasets.load("mnist")
    assert (found.shape, found.canonical, found.class_names[3]) == ((1, 3, 3), False, "3")
