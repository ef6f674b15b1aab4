"""What a job has told over all its attempts, as its page shows it: curves, notes, logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trustworthy.studio.db.tables import Job
from trustworthy.studio.jobs.executor import LOG
from trustworthy.studio.jobs.progress import read_progress
from trustworthy.studio.jobs.publishing import CHECKPOINTS
from trustworthy.studio.jobs.reasons import log_end
from trustworthy.studio.storage import Storage


@dataclass
class History:
    """curves : loss and validation score, or None, by epoch, by member, both from 1. notes : each once, in order."""

    curves: dict[int, dict[int, tuple[float | None, float | None]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def history(storage: Storage, job: Job) -> History:
    """Where an attempt went on from an epoch before the end of the last one, what it says of an epoch counts."""
    found = History()
    for line in (line for folder in _attempts(storage, job) for line in read_progress(folder)):
        if (curve := line.get("curve")) is not None:
            member = found.curves.setdefault(curve["member"], {})
            member[curve["epoch"]] = (curve.get("loss"), curve.get("validation"))
        if (note := line.get("note")) and note not in found.notes:
            found.notes.append(note)
    return found


def log_tail(storage: Storage, job: Job) -> str:
    """The end of what the last attempt printed."""
    return log_end(storage.attempt(job.id, job.attempts)) if job.attempts else ""


def whole_log(storage: Storage, job: Job) -> Iterator[str]:
    """All that all attempts printed, piece by piece."""
    for number, folder in enumerate(_attempts(storage, job), 1):
        yield f"attempt {number}\n"
        if (folder / LOG).is_file():
            with (folder / LOG).open(encoding="utf-8", errors="replace") as stream:
                yield from stream


def can_finish(storage: Storage, job: Job) -> bool:
    """Whether a training that has stopped left a state that can be made into a result."""
    return job.kind == "train" and any((folder / CHECKPOINTS).is_dir() for folder in _attempts(storage, job))


def _attempts(storage: Storage, job: Job) -> Iterator[Path]:
    return (storage.attempt(job.id, number) for number in range(1, job.attempts + 1))
