"""What an attempt has made becomes the result of its job: once, whatever is killed at whichever moment.

The lease is checked, the folders are renamed and the rows are written in one transaction. If it does not come to its
end, the job runs still: the next attempt finds its published folder and says so, or makes its result again.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.orm import Session

from trustworthy.studio.db.tables import Job, Model
from trustworthy.studio.jobs import leases, progress, reasons
from trustworthy.studio.jobs.executor import LOG
from trustworthy.studio.jobs.states import SUCCESS
from trustworthy.studio.storage import Storage
from trustworthy.studio.training import task
from trustworthy.studio.training.record import Result, load_result

RESULT, MODEL, CHECKPOINTS = "result", "model", "checkpoints"
KEPT = {LOG, progress.FILE, reasons.FILE, task.FILE}
"""Of an attempt that has ended."""


def publish(session: Session, storage: Storage, job: Job) -> bool:
    """Make what the attempt of `job` left the result of the job, which is a success then; False if its lease is lost.

    Raises OSError or ValueError where there is no result that can be read.
    """
    source = storage.attempt(job.id, job.attempts) / RESULT
    made = source if source.is_dir() else storage.result(job.id)
    result = load_result(made)
    _flush(made)
    done = {"progress": 1.0, "stage": "", "reason": ""}
    if job.kind == "train":
        done["model_id"] = job.id
    if not leases.finish(session, job.id, job.token or "", SUCCESS, **done):
        return False
    if source.is_dir():
        _place(storage, source, job.id)
    if job.kind == "train":
        session.merge(Model(id=job.id, job_id=job.id, project_id=job.project_id, name=job.name, about=_about(result)))
    return True


def begin(storage: Storage, job: Job) -> Path:
    """The folder of a new attempt, with the checkpoints of the last one that has any.

    They are moved, so that what is left of an earlier attempt has nowhere to write that matters.
    """
    folder = storage.attempt(job.id, job.attempts)
    folder.mkdir(parents=True, exist_ok=True)
    for number in reversed(range(1, job.attempts)):
        old = storage.attempt(job.id, number) / CHECKPOINTS
        if old.is_dir():
            old.rename(folder / CHECKPOINTS)
            break
    return folder


def tidy(storage: Storage, job: Job, kept: frozenset[str] = frozenset()) -> None:
    """Of all attempts of a job, leave only what its page shows, and what is named `kept`."""
    for number in range(1, job.attempts + 1):
        folder = storage.attempt(job.id, number)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in KEPT | kept:
                storage.remove(path)


def _place(storage: Storage, source: Path, job_id: str) -> None:
    """By renaming; what is there is of an attempt that was killed between these lines."""
    if (source / MODEL).is_dir():
        storage.remove(storage.model(job_id))
        (source / MODEL).rename(storage.model(job_id))
    storage.remove(storage.result(job_id))
    source.rename(storage.result(job_id))


def _about(result: Result) -> dict[str, object]:
    return result.model_dump(mode="json", include={"summary", "baselines", "settings", "methods", "unit", "seconds"})


def _flush(folder: Path) -> None:
    """Onto the disk, so that a success that the database knows of survives a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("r+b") as stream:
                os.fsync(stream.fileno())
