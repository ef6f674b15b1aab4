"""MNIST and Fashion-MNIST: the files that they come in, and their packages, played by tiny folders."""

from __future__ import annotations

import gzip
import struct
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from trustworthy import datasets
from trustworthy.core.errors import ChecksumMismatch, DataError
from trustworthy.datasets import packages
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.images import FILES, decode_idx, read_folder


def encode(array: np.ndarray) -> bytes:
    header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images, labels = np.arange(36).reshape(3, 3, 4), np.array([2, 0, 1])
    for name, array in zip(FILES, (images, labels, images[:1], labels[:1]), strict=True):
        (tmp_path / name).write_bytes(encode(array))
    return tmp_path


def test_images_get_a_channel_and_labels_become_int64(folder: Path) -> None:
    content = read_folder(folder)
    np.testing.assert_array_equal(content.x_train, np.arange(36).reshape(3, 1, 3, 4))
    np.testing.assert_array_equal(content.y_train, [2, 0, 1])
    assert content.y_test.dtype == np.int64
    assert content.x_test.shape == (1, 1, 3, 4)


def test_gzipped_files_are_read(folder: Path) -> None:
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    np.testing.assert_array_equal(read_folder(folder).y_train, [2, 0, 1])


def test_truncated_gzip_and_missing_file_are_named(folder: Path) -> None:
    name = FILES[2]
    content = gzip.compress((folder / name).read_bytes())
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        read_folder(folder)
    (folder / f"{name}.gz").write_bytes(content[:-9])
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "is not an IDX file"),
        (b"\x00\x00\x08\x03\x00\x00", "is truncated or damaged"),
        (encode(np.arange(6).reshape(2, 3))[:-1], "15 bytes|18 bytes expected, got 17"),
        (encode(np.arange(6)) + b"\x00", "14 bytes expected, got 15"),
    ],
)
def test_damaged_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_idx(content, "images")


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
    for name in FILES:
        (folder / name).write_bytes(encode(np.arange(18).reshape(2, 3, 3) if "images" in name else np.arange(2)))


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
