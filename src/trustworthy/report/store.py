"""Finished steps of an audit on disk, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import errno
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from trustworthy.core.errors import DataError, TrustworthyWarning
from trustworthy.core.files import atomic_write
from trustworthy.report.finding import AuditRecord, Finding, Omission

FINDINGS, ARRAYS, PARTS = "findings.json", "arrays.npz", "parts"


class Part(BaseModel):
    """What one step left: findings or an omission. Its arrays are stored beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    fingerprint: str
    findings: list[Finding] = []
    omission: Omission | None = None


class Store:
    """Parts of one audit under `folder`/parts, each a file of its own that is written whole or not at all.

    A part counts only if its fingerprint is the one asked for: those that another audit left are never used, they
    are replaced one by one, with a warning at the first. `folder` None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._warned = False

    def load(self, key: str, expected: str) -> tuple[Part, dict[str, np.ndarray]] | None:
        """The part `key` if it was finished under the fingerprint `expected`."""
        if self.folder is None or not self._file(key).exists():
            return None
        try:
            # Opened here, because numpy leaves a truncated file open.
            with self._file(key).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            part = Part.model_validate_json(str(arrays.pop("part")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            self._warn(f"{self._file(key)} is damaged; it is measured again.")
            return None
        if part.fingerprint != expected:
            self._warn(f"{self.folder} holds parts of another audit (model, data, plan, seed or version differ); "
                       "they are not used and will be replaced.")  # fmt: skip
            return None
        return part, arrays

    def save(self, key: str, part: Part, arrays: dict[str, np.ndarray]) -> None:
        """Keep a finished part."""
        if self.folder is not None:
            _save_arrays(self._file(key), {"part": np.array(part.model_dump_json()), **arrays})

    def finish(self, record: AuditRecord, arrays: dict[str, np.ndarray]) -> None:
        """Write `arrays.npz` and then `findings.json`, which names them."""
        if self.folder is not None:
            _save_arrays(self.folder / ARRAYS, arrays)
            with explained(self.folder / FINDINGS), atomic_write(self.folder / FINDINGS) as stream:
                stream.write(record.model_dump_json(indent=1))

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / PARTS / f"{key}.npz"

    def _warn(self, message: str) -> None:
        if not self._warned:
            warnings.warn(message, TrustworthyWarning, stacklevel=4)
        self._warned = True


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with explained(path), atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say why a file could not be written, and that nothing that was finished is lost."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise DataError(
            f"cannot write {path}: {why}. Finished steps are kept: make room and run the same command again, "
            "or choose another folder."
        ) from error
