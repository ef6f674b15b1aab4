"""Uploads in chunks that go on where they stopped; at their end there are images, or nothing at all."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from trustworthy.core.errors import DataError, InvalidInput, TrustworthyError, UnknownName
from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Image, Project, Upload, new_id, now
from trustworthy.studio.images.formats import MICROSCOPES, format_of
from trustworthy.studio.images.probing import Prober, lent
from trustworthy.studio.intake.adding import check_role, clean_name, forget_files, keep_images, prepare_image
from trustworthy.studio.intake.archives import BLOCK, unpack
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import DiskFull, Storage, alone

CHUNK = 2**23
"""Bytes that a page sends at once."""
DAYS = 7
"""After which an upload that nobody went on with is removed."""

CLEANING = 3600.0
"""Seconds in which a project is cleaned once at most: it takes a look at every file."""
_CLEAN: dict[Path, float] = {}


@runtime_checkable
class Readable(Protocol):
    """Where bytes come from: a file, a request, or a host."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Arrived:
    """What became of an upload. refused : names of files that were no usable images, each with the reason."""

    images: list[Image]
    refused: list[tuple[str, str]]


def begin(
    session: Session, storage: Storage, settings: Settings, project_id: str, name: str, size: int, role: str = "any"
) -> Upload:
    """A new upload of `size` bytes. Raises InvalidInput, UnknownName, DiskFull."""
    if session.get(Project, project_id) is None:
        raise UnknownName(f"there is no project {project_id!r}.")
    check_role(role)
    if size < 1:
        raise InvalidInput(f"{name} is empty; save it anew.")
    if size > settings.max_file_bytes:
        raise InvalidInput(
            f"{name} has {size:,} bytes, and a file may have up to {settings.max_file_bytes:,}; split it, or raise "
            "max_file_bytes in the settings."
        )
    if time.monotonic() > _CLEAN.get(storage.project(project_id), 0.0):
        clean_up(session, storage, project_id)
    storage.reserve(size, "this upload")
    upload = Upload(project_id=project_id, name=clean_name(name), size=size, role=role)
    session.add(upload)
    session.flush()
    return upload


def find(session: Session, upload_id: str) -> Upload:
    """An upload that has not ended. Raises UnknownName."""
    upload = session.get(Upload, upload_id)
    if upload is None:
        raise UnknownName(f"there is no upload {upload_id!r} that has not ended; begin it again.")
    return upload


def received(storage: Storage, upload: Upload) -> int:
    """Bytes that have arrived, and stay whatever happens."""
    file = storage.upload(upload.id)
    return file.stat().st_size if file.is_file() else 0


def append(
    database: Database, storage: Storage, upload: Upload, offset: int, stream: Readable, digest: str | None = None
) -> int:
    """Write what `stream` holds; how many bytes have arrived now. Memory does not depend on their number.

    digest : SHA-256 of these bytes in hexadecimal digits, where the sender knows it.

    Raises
    ------
    InvalidInput : `offset` is not the number of bytes that have arrived, or `digest` is that of others; these are not
        kept, and can be sent again.
    DataError, DiskFull : there are more than were announced, or no room for them; nothing of the upload is left.
    """
    have = received(storage, upload)
    if offset != have:
        raise InvalidInput(f"offset must be {have}, the bytes that have arrived, got {offset}; go on from there.")
    file = storage.upload(upload.id)
    file.touch()
    hashed = hashlib.sha256()
    with _nothing_left(database, storage, upload), full_in_words(storage), file.open("r+b") as part:
        part.seek(offset)  # not at its end: a request that comes twice writes the same twice
        while block := stream.read(min(BLOCK, upload.size + 1 - have)):
            have += len(block)
            if have > upload.size:
                raise DataError(f"{upload.name} is larger than the {upload.size:,} bytes announced; upload it again.")
            storage.reserve(len(block), "this upload")
            part.write(block)
            hashed.update(block)
        if digest not in (None, hashed.hexdigest()):
            part.truncate(offset)
        part.flush()
        os.fsync(part.fileno())
    if digest not in (None, hashed.hexdigest()):
        raise InvalidInput(f"some bytes of {upload.name} were altered on their way; send them again.")
    return have


def finish(database: Database, storage: Storage, settings: Settings, upload_id: str) -> Arrived:
    """Make images of an upload that is complete; of an archive all that can be used, or none where it is refused.

    Raises
    ------
    InvalidInput : some bytes are missing yet, or it is being finished already.
    UnknownName : there is no such upload, or it has ended.
    DataError, DiskFull : it is refused, and nothing of it is left.
    """
    with database.reading() as session:
        upload = find(session, upload_id)
    have = received(storage, upload)
    if have < upload.size:
        raise InvalidInput(f"{upload.name} has {have:,} of {upload.size:,} bytes; send the others first.")
    lock = storage.upload(upload.id).with_suffix(".lock")
    with alone(lock, f"{upload.name} is being unpacked already; wait until it appears among the images."):
        with _nothing_left(database, storage, upload), full_in_words(storage):
            images, refused = _prepared(storage, settings, upload)
        try:
            with database.session() as session:
                session.delete(find(session, upload_id))
                kept = keep_images(session, storage, images)
        except BaseException:
            _forget(storage, images)
            raise
        storage.upload(upload.id).unlink(missing_ok=True)
    return Arrived(kept, refused)


def abandon(session: Session, storage: Storage, upload: Upload) -> None:
    """Forget an upload and what has arrived of it."""
    storage.upload(upload.id).unlink(missing_ok=True)
    session.execute(delete(Upload).filter_by(id=upload.id))


def clean_up(session: Session, storage: Storage, project_id: str) -> None:
    """Remove uploads of a project that nobody went on with, and files that a power cut left without a row."""
    for upload in session.scalars(select(Upload).filter(Upload.created < now() - timedelta(days=DAYS))):
        abandon(session, storage, upload)
    _CLEAN[storage.project(project_id)] = time.monotonic() + CLEANING
    known = {*session.scalars(select(Upload.id)), *session.scalars(select(Image.id).filter_by(project_id=project_id))}
    folders = (storage.root / "uploads", storage.project(project_id) / "images")
    for file in (file for folder in folders if folder.is_dir() for file in folder.iterdir()):
        if file.stem not in known and file.stat().st_ctime < time.time() - DAYS * 86400:
            storage.remove(file)


def _prepared(storage: Storage, settings: Settings, upload: Upload) -> tuple[list[Image], list[tuple[str, str]]]:
    file = storage.upload(upload.id)
    zipped = format_of(file) == "zip"
    images: list[Image] = []
    refused: list[tuple[str, str]] = []
    try:
        with lent(settings) as prober:
            for name, each in unpack(file, storage, settings) if zipped else [(upload.name, file)]:
                try:
                    for part, one in _converted(storage, prober, name, each):
                        images.append(prepare_image(storage, upload.project_id, one, part, upload.role, prober))
                except (DataError, InvalidInput) as error:
                    if not zipped or isinstance(error, DiskFull):
                        raise
                    refused.append((name, str(error)))
        if not images:
            raise DataError(_nothing_usable(refused))
    except BaseException:
        _forget(storage, images)
        raise
    return images, refused


def _converted(storage: Storage, prober: Prober, name: str, file: Path) -> Iterator[tuple[str, Path]]:
    """The file itself, or each image of one of a microscope's maker."""
    if format_of(file) not in MICROSCOPES:
        yield name, file
        return
    folder = storage.upload(new_id())
    folder.mkdir()
    try:
        for part, path in prober.convert(file, folder):
            yield f"{name}/{part}".rstrip("/"), path
    finally:
        storage.remove(folder)


def _nothing_usable(refused: list[tuple[str, str]]) -> str:
    first = f" The first, {refused[0][0]}: {refused[0][1]}" if refused else ""
    return f"the archive holds no image that can be used.{first}"


def _forget(storage: Storage, images: list[Image]) -> None:
    for image in images:
        forget_files(storage, image)


@contextmanager
def _nothing_left(database: Database, storage: Storage, upload: Upload) -> Iterator[None]:
    """Where what arrives is refused the upload has ended."""
    try:
        yield
    except TrustworthyError:
        with database.session() as session:
            abandon(session, storage, upload)
        raise


@contextmanager
def full_in_words(storage: Storage) -> Iterator[None]:
    """Raise DiskFull where the disk is."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            errno.ENOSPC,
            f"the disk is full: {storage.free / 1e9:.2f} GB of it may be used. Delete projects or jobs that are no "
            "longer needed, or give the studio another folder; then upload again.",
        ) from error
