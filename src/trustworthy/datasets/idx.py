"""The IDX format of MNIST: a magic number, the sizes, then unsigned bytes."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from trustworthy.core.errors import DataError
from trustworthy.datasets.entry import Content

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def decode(content: bytes, name: str) -> UInt8[np.ndarray, "..."]:
    """Turn the bytes of an IDX file called `name` into an array of unsigned bytes."""
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{name} is not an IDX file of unsigned bytes.")
    header = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:header]) if len(content) >= header else (-1,)
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise DataError(f"{name} is truncated or damaged: {expected} bytes expected, got {len(content)}.")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def read_folder(folder: Path) -> Content:
    """Read the four files of an MNIST-like set, plain or gzipped."""
    x_train, y_train, x_test, y_test = (decode(_content(folder, name), name) for name in FILES)
    return Content(x_train[:, None], y_train.astype(np.int64), x_test[:, None], y_test.astype(np.int64))


def _content(folder: Path, name: str) -> bytes:
    plain, zipped = folder / name, folder / f"{name}.gz"
    try:
        return plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {name} in {folder}: {error}") from error
