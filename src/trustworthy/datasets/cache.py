"""Arrays kept between runs: one checksummed .npz per data set, written atomically."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from scipy import sparse

from trustworthy.core.errors import ChecksumMismatch, DataError
from trustworthy.core.files import atomic_write
from trustworthy.datasets.dataset import Inputs
from trustworthy.datasets.entry import Content
from trustworthy.datasets.reading import DAMAGE

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
NAMES = ("class_names", "feature_names")


@dataclass(frozen=True)
class Record:
    """What is stored beside the content; the fields mean what they mean in `Dataset`."""

    source: str
    provenance: str
    sha256: str
    canonical: bool


def directory() -> Path:
    """Folder of the cache: TRUSTWORTHY_CACHE, else the one that the platform keeps for caches."""
    named = os.environ.get("TRUSTWORTHY_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "trustworthy" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "trustworthy"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trustworthy"


def path(name: str) -> Path:
    """File of the data set `name`, whether it exists or not."""
    return directory() / "datasets" / f"{name}.npz"


def fingerprint(content: Content) -> str:
    """SHA-256 over name, type, shape and little-endian content of the four arrays, whatever file holds them.

    A sparse array counts as its four parts, with the columns of a row in order.
    """
    digest = hashlib.sha256()
    for name, part in _parts(content).items():
        array = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _parts(content: Content) -> dict[str, np.ndarray]:
    """What is written: an array under its name, a sparse one as NAME.data, .indices, .indptr and .shape."""
    parts: dict[str, np.ndarray] = {}
    for name in ARRAYS:
        array = getattr(content, name)
        if sparse.issparse(array):
            rows = sparse.csr_array(array, copy=True)
            rows.sum_duplicates()
            positions = {part: getattr(rows, part).astype(np.int64) for part in ("indices", "indptr")}
            named = {"data": rows.data, **positions, "shape": np.array(rows.shape, dtype=np.int64)}
            parts |= {f"{name}.{part}": value for part, value in named.items()}
        else:
            parts[name] = np.asarray(array)
    return parts


def _array(file: Mapping[str, np.ndarray], name: str) -> Inputs:
    """Join the parts that `_parts` made."""
    if f"{name}.indptr" not in file:
        return file[name]
    data, indices, indptr, shape = (file[f"{name}.{part}"] for part in ("data", "indices", "indptr", "shape"))
    rows = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
    rows.check_format(full_check=True)  # a ValueError where the parts do not fit each other
    return rows


def store(name: str, content: Content, record: Record) -> Path:
    """Write the arrays and their record; on any failure the cache stays as it was."""
    target = path(name)
    arrays = _parts(content)
    arrays["record"] = np.array(json.dumps(asdict(record) | {name: getattr(content, name) for name in NAMES}))
    try:
        with atomic_write(target, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    except OSError as error:
        raise unwritable(target, error, sum(array.nbytes for array in arrays.values())) from error
    return target


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes and threads from `target`, a file of the cache, for as long as the block runs."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        yield
    finally:
        lock.release()


def unwritable(target: Path, error: OSError, size: int = 0) -> DataError:
    """Say why a file of the cache could not be written, and what to do."""
    if error.errno == errno.ENOSPC:
        need = f" ({size / 1e6:.0f} MB)" if size else ""
        return DataError(
            f"the disk is full: {target}{need} was not written. Free some space, or point TRUSTWORTHY_CACHE elsewhere."
        )
    return DataError(f"cannot write {target}: {error}. Make it writable, or point TRUSTWORTHY_CACHE elsewhere.")


def read(name: str) -> tuple[Content, Record]:
    """Read the arrays and their record, and verify the checksum."""
    source = path(name)
    remedy = f"Run `trustworthy data get --refresh {name}` to fetch it again."
    try:
        with source.open("rb") as stream:  # opened here: given a path, np.load leaves a damaged file open
            file = np.load(stream, allow_pickle=False)
            found: dict[str, Any] = {key: _array(file, key) for key in ARRAYS}
            fields = json.loads(str(file["record"]))
        found |= {name: tuple(fields.pop(name)) for name in NAMES}
        content, record = Content(**found), Record(**fields)
    except (*DAMAGE, TypeError) as error:
        raise DataError(f"the cached file {source} is damaged or truncated ({error}). {remedy}") from error
    digest = fingerprint(content)
    if digest != record.sha256:
        raise ChecksumMismatch(f"{source}: expected SHA-256 {record.sha256}, got {digest}. {remedy}")
    return content, record
