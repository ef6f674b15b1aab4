"""Why an attempt failed, in words, with what to do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from trustworthy.studio.jobs.executor import LOG
from trustworthy.studio.training.task import Task

FILE = "failure.json"
KILLED = {-9, 137}
TAIL_BYTES = 8192


@dataclass(frozen=True)
class Failure:
    """reason : in words. again : another attempt may succeed."""

    reason: str
    again: bool = True


LOST = Failure("The process that looks after jobs was lost while this one ran, more often than is tried.")
NO_RESULT = Failure("The job ended without a result. Its log may say more.")


def stalled(seconds: float) -> Failure:
    """Of an attempt that made no progress for so long."""
    minutes = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    return Failure(f"The job made no progress for {minutes} and was stopped. A busy device or disk may be the cause.")


def failure_of(code: int, attempt: Path, task: Task) -> Failure:
    """Of an attempt that ended with an exit code other than 0: as it says itself, else by its code and its log."""
    told = attempt / FILE
    if told.is_file():
        return Failure(**json.loads(told.read_text(encoding="utf-8")))
    log = log_end(attempt)
    if re.search(r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError", log):
        return Failure(f"The memory of the graphics card is too small for this job. {_remedy(task)}", again=False)
    if re.search(r"\bMemoryError|[Cc]annot allocate memory|not enough memory", log):
        return Failure(f"The memory of the computer is too small for this job. {_remedy(task)}", again=False)
    if re.search(r"No space left on device|Errno 28\b|DiskFull", log):
        return Failure("The disk is full. Delete jobs or projects that are no longer needed, then try again.", False)
    if code in KILLED:
        return Failure(
            "The operating system ended the job (kill -9), most likely because the memory of the computer ran out. "
            f"{_remedy(task)}"
        )
    last = log.strip().splitlines()[-1:] or ["it wrote nothing"]
    return Failure(f"The job ended unexpectedly (code {code}): {last[0][:300]}. The log has more.")


def log_end(attempt: Path, size: int = TAIL_BYTES) -> str:
    """The last bytes of what an attempt printed; nothing where it has no log."""
    file = attempt / LOG
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - size))
        return stream.read().decode("utf-8", "replace")


def _remedy(task: Task) -> str:
    """Which number to lower."""
    settings = task.settings
    if settings is None:
        return "Close other programs, or choose fewer images, then try again."
    batch = f"a smaller batch size (now {settings.batch_size})" if settings.batch_size > 1 else ""
    patch = f"a smaller patch size (now {settings.patch})" if settings.patch > 32 else ""
    smaller = " or ".join(filter(None, (batch, patch))) or f"a narrower network (width, now {settings.width})"
    return f"Start a training with {smaller}, or close other programs and try again."
