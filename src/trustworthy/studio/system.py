"""The machine under a studio in words: where jobs run and why not on a GPU, room on the disk, the queue, versions."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sqlalchemy
from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.studio.db.tables import Job, counted, now
from trustworthy.studio.jobs.states import QUEUE, RUN, SUBMIT
from trustworthy.studio.settings import Settings

PACKAGES = (
    "trustworthy", "torch", "numpy", "scikit-image", "tifffile", "imagecodecs", "Flask", "SQLAlchemy", "waitress",
    "bioimageio.core", "czifile", "nd2", "liffile",
)  # fmt: skip
FOLDERS = {"projects": "images", "models": "models", "jobs": "jobs and results", "uploads": "unfinished uploads"}


@dataclass(frozen=True)
class Disk:
    """In bytes. used : by what the studio keeps, in words. kept_free : that the studio leaves alone."""

    used: dict[str, int]
    free: int
    total: int
    kept_free: int


@dataclass(frozen=True)
class Queue:
    """Jobs that wait and run, and the workers that have given a sign of life lately."""

    waiting: int
    running: int
    workers: tuple[str, ...]


def device_words(wanted: str) -> str:
    """Where jobs run; where it is not a GPU, why not and what helps. wanted : `Settings.device`."""
    import torch

    processors = f"the CPU, {os.cpu_count()} processors"
    if wanted == "cpu":
        return f"{processors}; the settings ask for it (device = cpu)"
    if torch.cuda.is_available():
        number = torch.device("cuda" if wanted == "auto" else wanted).index or 0
        found = torch.cuda.get_device_properties(number)
        return f"the GPU {found.name} with {found.total_memory / 1e9:.0f} GB"
    if torch.version.cuda is None:
        why = "this PyTorch was built without CUDA; install the build for your GPU (pytorch.org)"
    else:
        why = "PyTorch finds no NVIDIA GPU, or a driver that is too old; the command nvidia-smi tells which"
    return f"{processors}; no GPU: {why}" if wanted == "auto" else f"nowhere: {wanted} is set, but {why}"


def disk(settings: Settings) -> Disk:
    """Costs a look at every file that the studio keeps."""
    used = {word: _bytes(settings.data_dir / folder) for folder, word in FOLDERS.items()}
    there = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.is_dir())
    place = shutil.disk_usage(there)
    return Disk(used, max(0, place.free - settings.free_bytes), place.total, settings.free_bytes)


def memory() -> tuple[int, int]:
    """Bytes that are available, and in all."""
    import psutil

    found = psutil.virtual_memory()
    return found.available, found.total


def queue(session: Session, settings: Settings) -> Queue:
    """How many jobs wait and run, and where."""
    counts = counted(session, Job.status)
    alive = select(Job.worker).where(Job.status == RUN, Job.lease_until > now())
    workers = sorted({worker for worker in session.scalars(alive) if worker})
    return Queue(counts.get(QUEUE, 0) + counts.get(SUBMIT, 0), counts.get(RUN, 0), tuple(workers))


def versions() -> dict[str, str]:
    """Of Python and of the packages that matter; those of the extra `bio` only where they are installed."""
    found = {"Python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def database_words(url: str) -> str:
    """The database without its password."""
    return sqlalchemy.make_url(url).render_as_string(hide_password=True)


def report(settings: Settings) -> Iterator[str]:
    """All of it in a few lines: what `trustworthy studio doctor` prints."""
    available, total = memory()
    kept = disk(settings)
    yield f"jobs run on {device_words(settings.device)}"
    yield f"memory: {available / 1e9:.1f} of {total / 1e9:.1f} GB available"
    yield f"folder: {settings.data_dir}, {sum(kept.used.values()) / 1e9:.2f} GB; {kept.free / 1e9:.1f} GB free"
    yield f"database: {database_words(settings.url)}"
    yield "versions: " + ", ".join(f"{name} {found}" for name, found in versions().items())
    yield f"executable: {sys.executable}"


def _bytes(folder: Path) -> int:
    """Of all files below; files that go while one counts count as nothing."""
    total, folders = 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
