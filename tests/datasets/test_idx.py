"""The IDX reader: exact on good files, a clear error on bad ones."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from trustworthy.core.errors import DataError
from trustworthy.datasets import idx


def encode(array: np.ndarray) -> bytes:
    header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images, labels = np.arange(36).reshape(3, 3, 4), np.array([2, 0, 1])
    for name, array in zip(idx.FILES, (images, labels, images[:1], labels[:1]), strict=True):
        (tmp_path / name).write_bytes(encode(array))
    return tmp_path


def test_images_get_a_channel_and_labels_become_int64(folder: Path) -> None:
    content = idx.read_folder(folder)
    np.testing.assert_array_equal(content.x_train, np.arange(36).reshape(3, 1, 3, 4))
    np.testing.assert_array_equal(content.y_train, [2, 0, 1])
    assert content.y_test.dtype == np.int64
    assert content.x_test.shape == (1, 1, 3, 4)


def test_gzipped_files_are_read(folder: Path) -> None:
    for name in idx.FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    np.testing.assert_array_equal(idx.read_folder(folder).y_train, [2, 0, 1])


def test_truncated_gzip_and_missing_file_are_named(folder: Path) -> None:
    name = idx.FILES[2]
    content = gzip.compress((folder / name).read_bytes())
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"cannot read {name}"):
        idx.read_folder(folder)
    (folder / f"{name}.gz").write_bytes(content[:-9])
    with pytest.raises(DataError, match=f"cannot read {name}"):
        idx.read_folder(folder)


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
        idx.decode(content, "images")
