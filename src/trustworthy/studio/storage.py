"""Where everything lies that is not in the database; one place makes all paths, by ids that the studio itself gave.

data_dir/uploads/UPLOAD.part                 what has arrived of an upload
data_dir/projects/PROJECT/images/IMAGE.tif   as it was uploaded; never altered
data_dir/projects/PROJECT/previews/          PNG for the pages, made anew where they are missing
data_dir/projects/PROJECT/check.json         what the last check of all pairs found
data_dir/jobs/JOB/attempt-N/                 where attempt N works: job.json, progress.jsonl, log.txt, checkpoints/
data_dir/jobs/JOB/result/                    what was published, by renaming attempt-N/result
data_dir/models/MODEL/                       a trained model, as `training.saving` writes it
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trustworthy.core.errors import DataError, InvalidInput

_ID = re.compile(r"[0-9a-f]{32}")


class DiskFull(DataError):
    """Too little space is left."""


@dataclass(frozen=True)
class Storage:
    """The folders of a studio.

    root : the data folder. free_bytes : that stay free.
    """

    root: Path
    free_bytes: int = 0

    def upload(self, upload: str) -> Path:
        """The file that holds what has arrived of an upload."""
        return self._place("uploads", _checked(upload) + ".part")

    def project(self, project: str) -> Path:
        """The folder of a project."""
        return self._place("projects", _checked(project))

    def image(self, project: str, image: str, suffix: str) -> Path:
        """The file of an image. suffix : with its dot, such as ".tif"."""
        return self._made(self.project(project) / "images") / (_checked(image) + suffix)

    def previews(self, project: str) -> Path:
        """The folder of a project's previews."""
        return self._made(self.project(project) / "previews")

    def job(self, job: str) -> Path:
        """The folder of a job."""
        return self._place("jobs", _checked(job))

    def attempt(self, job: str, number: int) -> Path:
        """The folder in which attempt `number` of a job works, >= 1."""
        return self.job(job) / f"attempt-{int(number)}"

    def result(self, job: str) -> Path:
        """The folder that a job has published."""
        return self.job(job) / "result"

    def model(self, model: str) -> Path:
        """The folder of a model."""
        return self._place("models", _checked(model))

    def remove(self, folder: Path) -> None:
        """Remove a folder or a file of this studio, if it is there."""
        if not folder.resolve().is_relative_to(self.root.resolve()) or folder.resolve() == self.root.resolve():
            raise InvalidInput(f"{folder} is not in the folder of the studio; nothing was removed.")
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)

    @property
    def free(self) -> int:
        """Bytes that may still be written."""
        self.root.mkdir(parents=True, exist_ok=True)
        return max(0, shutil.disk_usage(self.root).free - self.free_bytes)

    def reserve(self, size: int, purpose: str) -> None:
        """Raise DiskFull unless `size` bytes may be written."""
        if size > self.free:
            raise DiskFull(
                errno.ENOSPC,
                f"{purpose} needs {size / 1e9:.2f} GB, and {self.free / 1e9:.2f} GB of the disk may be used; delete "
                "projects or jobs that are no longer needed, or give the studio another folder.",
            )

    def _place(self, *parts: str) -> Path:
        return self._made(self.root / parts[0]).joinpath(*parts[1:])

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def alone(file: Path, fault: str) -> Iterator[None]:
    """Hold a lock, the file of which goes at the end; raise InvalidInput, with `fault`, where another process does."""
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InvalidInput(fault) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def _checked(given: str) -> str:
    """An id that the studio made: nothing that a visitor writes becomes a part of a path."""
    if not _ID.fullmatch(given):
        raise InvalidInput(f"id must be 32 hexadecimal digits, got {given!r}.")
    return given
