"""MNIST and Fashion-MNIST out of their packages, played by tiny folders."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from pathlib import Path

import pytest

from trustworthy import datasets
from trustworthy.core.errors import ChecksumMismatch
from trustworthy.datasets import idx, packages
from trustworthy.datasets.catalog import CATALOG


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    @contextmanager
    def unpacked(self: packages.Package):
        yield tmp_path

    monkeypatch.setattr(packages.Package, "unpacked", unpacked)
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUSTWORTHY_DATA", raising=False)
    return tmp_path


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in idx.FILES:
        shape = (2, 3, 3) if "images" in name else (2,)
        size = 18 if "images" in name else 2
        content = struct.pack(f">I{len(shape)}I", 0x0800 + len(shape), *shape) + bytes(range(size))
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "kind", "place", "digest"),
    [
        ("mnist", "npm", "package/data", "856aee0b"),
        ("fashion-mnist", "apt", "usr/share/datasets/fashion-mnist", "0b613e0a"),
    ],
)
def test_arrays_of_a_package_are_verified(packaged: Path, name: str, kind: str, place: str, digest: str) -> None:
    write(packaged / place)
    source = next(source for source in CATALOG[name].sources if source.kind == kind)
    assert source.read().y_train.tolist() == [0, 1]
    with pytest.raises(ChecksumMismatch, match=rf"{name} from {kind} .*expected SHA-256 {digest}"):
        datasets.load(name)


def test_local_idx_files(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(packaged / "mnist")
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(packaged))
    found = datasets.load("mnist")
    assert (found.shape, found.canonical, found.class_names[3]) == ((1, 3, 3), False, "3")
