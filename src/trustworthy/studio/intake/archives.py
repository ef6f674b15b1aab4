"""Zip archives, unpacked file by file under names of our own; one that is built to do harm is refused as a whole."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from trustworthy.core.errors import DataError
from trustworthy.studio.db.tables import new_id
from trustworthy.studio.images.formats import format_of
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage

NESTED = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
BLOCK = 2**20


def unpack(file: Path, storage: Storage, settings: Settings) -> Iterator[tuple[str, Path]]:
    """Each file of an archive: its name there, and a copy that is removed before the next one is made.

    What systems add by themselves (__MACOSX, hidden files, Thumbs.db) is left out.

    Raises
    ------
    DataError : the archive is damaged or encrypted, has too many files or grows too much, holds links, other archives
        or names that leave its folder. All but the content is checked before the first file is yielded.
    DiskFull : what it holds does not fit.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = _checked(archive.infolist(), file.stat().st_size, settings)
            storage.reserve(sum(member.file_size for member in members), "unpacking the archive")
            for member in members:
                copy = storage.upload(new_id())
                try:
                    _copy(archive, member, copy)
                    yield _named(member), copy
                finally:
                    copy.unlink(missing_ok=True)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"the archive is damaged, or of a kind that is not known ({error}); zip the images again."
        ) from error


def _checked(members: list[zipfile.ZipInfo], size: int, settings: Settings) -> list[zipfile.ZipInfo]:
    files = [member for member in members if not member.is_dir()]
    if len(files) > settings.max_files:
        raise DataError(
            f"the archive holds {len(files):,} files, and an upload may have {settings.max_files:,}; make several of "
            "it, or raise max_files in the settings."
        )
    for member in members:
        fault = _fault(member)
        if fault:
            raise DataError(f"{member.filename!r} in the archive is {fault}; zip the images alone, without it.")
    grown = sum(member.file_size for member in files)
    if grown > settings.max_ratio * size or any(member.file_size > settings.max_file_bytes for member in files):
        raise DataError(
            f"the archive has {size / 1e6:,.3f} MB and would grow to {grown / 1e6:,.1f} MB, which no images do; upload "
            "the images without an archive, or raise max_ratio or max_file_bytes in the settings."
        )
    return [member for member in files if not _of_a_system(member.filename)]


def _fault(member: zipfile.ZipInfo) -> str | None:
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or PureWindowsPath(name).drive or "\0" in name:
        return "a name that leaves the folder of the archive"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a device, not a file"
    if member.flag_bits & 1:
        return "encrypted"
    return "another archive" if PurePosixPath(name.lower()).suffix in NESTED else None


def _named(member: zipfile.ZipInfo) -> str:
    """Some programs write names in UTF-8 and do not say so."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _of_a_system(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1].startswith(".") or parts[-1].lower() in ("thumbs.db", "desktop.ini")


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, copy: Path) -> None:
    """Counted: what a header says of a size may be a lie."""
    left = member.file_size
    with archive.open(member) as packed, copy.open("wb") as stream:
        while block := packed.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise DataError(f"{member.filename!r} in the archive is larger than the archive says; zip it again.")
            stream.write(block)
    if _is_archive(copy):
        raise DataError(f"{member.filename!r} in the archive is another archive; zip the images alone, without it.")


def _is_archive(file: Path) -> bool:
    try:
        return format_of(file) == "zip"
    except DataError:
        return False
