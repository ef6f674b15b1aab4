"""Work in pieces: each is measured once and kept, so that what was interrupted goes on where it stopped."""

from __future__ import annotations

import errno
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from trustworthy.core.errors import DataError, InvalidInput, warn
from trustworthy.core.files import atomic_write

R = TypeVar("R")
Arrays = dict[str, np.ndarray]
UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for a file that is truncated or no .npz file."""


@runtime_checkable
class Store(Protocol[R]):
    """Where the records of finished pieces lie; a record counts only under the mark that it was saved with."""

    def load(self, key: str, mark: str) -> R | None: ...
    def save(self, key: str, mark: str, record: R) -> None: ...


@dataclass(frozen=True)
class Piece(Generic[R]):
    """A piece of a study.

    key : tells it from the others. mark : changes with everything that its record depends on.
    tell : called with the share of it that is done, from 0 to 1.
    """

    key: str
    mark: str
    measure: Callable[[], R]
    tell: Callable[[float], None] = lambda share: None


def study(pieces: Iterable[Piece[R]], store: Store[R], *, again: bool = False) -> Iterator[R]:
    """The record of each piece in turn: what `store` has of it, or what is measured now and saved.

    again : measure what the store has, too.
    """
    for piece in pieces:
        piece.tell(0.0)
        record = None if again else store.load(piece.key, piece.mark)
        if record is None:
            record = piece.measure()
            store.save(piece.key, piece.mark, record)
        piece.tell(1.0)
        yield record


class Parts(Generic[R]):
    """Records with arrays under `folder`/parts, each a file of its own that is written whole or not at all.

    Those of another mark are never used, they are replaced one by one, with a warning at the first.

    folder : None keeps nothing.
    kind : type of the records, a pydantic model or a union of some.
    study : what it is called in a warning, and in what another one may differ.
    """

    def __init__(self, folder: Path | None, kind: Any, study: str) -> None:
        self.folder, self._kind, self._study = folder, TypeAdapter(kind), study
        self._warned = False

    def load(self, key: str, mark: str) -> tuple[R, Arrays] | None:
        """The part `key` if it was saved under `mark`."""
        if self.folder is None or not self._file(key).exists():
            return None
        try:
            arrays = load_arrays(self._file(key))
            if str(arrays.pop("mark", "")) != mark:
                self._warn(
                    f"{self.folder} holds parts of another {self._study}; they are not used and will be replaced."
                )
                return None
            return self._kind.validate_json(str(arrays.pop("part"))), arrays
        except UNREADABLE:
            self._warn(f"{self._file(key)} is damaged; it is measured again.")
            return None

    def save(self, key: str, mark: str, record: tuple[R, Arrays]) -> None:
        """Keep a finished part."""
        if self.folder is not None:
            part, arrays = record
            text = self._kind.dump_json(part).decode()
            save_arrays(self._file(key), {"mark": np.array(mark), "part": np.array(text), **arrays})

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / "parts" / f"{key}.npz"

    def _warn(self, message: str) -> None:
        if not self._warned:
            warn(message)
        self._warned = True


@contextmanager
def alone(folder: Path | None, study: str) -> Iterator[None]:
    """Hold `folder` while a study writes into it; a second one is refused, for the last to end would win.

    A study that fails before it has written anything leaves no folder behind.
    """
    if folder is None:
        yield
        return
    parts = folder / "parts"
    absent = [place for place in (parts, folder, *folder.parents) if not place.exists()]
    lock = FileLock(parts / ".lock", timeout=0)
    try:
        _make(folder)
        with _explained(folder):
            parts.mkdir(exist_ok=True)
            lock.acquire()
    except Timeout:
        raise InvalidInput(
            f"another {study} is writing into {folder}; wait until it has ended, or choose another folder."
        ) from None
    try:
        yield
    except BaseException:
        if absent:
            with suppress(OSError):  # what is not empty stays
                (parts / ".lock").unlink()
                for place in absent:
                    place.rmdir()
        raise
    finally:
        lock.release()


def _make(folder: Path) -> None:
    """Make the folder; refused now where nothing could be written at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = None if os.access(folder, os.W_OK) else "it may not be written to"
    except OSError as error:
        why = "it is a file" if folder.is_file() else (error.strerror or str(error)).lower()
    if why is not None:
        raise InvalidInput(f"out must be a folder, or a place for one, got {str(folder)!r}: {why}. Choose another.")


def load_arrays(path: Path) -> Arrays:
    """All arrays of an .npz file; raises one of `UNREADABLE`."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # numpy leaves a damaged file open
        return {name: file[name] for name in file.files}


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write an .npz file."""
    with writing(path, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


@contextmanager
def writing(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO]:
    """Open a file that is written whole or not at all; where it cannot be written, say why (DataError)."""
    with _explained(path), atomic_write(path, mode) as stream:
        yield stream


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say why a file could not be written, and that nothing that was finished is lost."""
    try:
        yield
    except (DataError, Timeout):
        raise
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise DataError(
            f"cannot write {path}: {why}. Finished steps are kept: make room and run the same command again, "
            "or choose another folder."
        ) from error
