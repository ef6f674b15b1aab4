"""How the process of a job says how far it is: lines of JSON that its supervisor and the pages read."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "progress.jsonl"


class Reporter:
    """Appends to progress.jsonl of an attempt. Every line has `time` and `progress`, the others what is new."""

    def __init__(self, attempt: Path) -> None:
        self._file, self._progress = attempt / FILE, 0.0

    def tell(self, progress: float | None = None, **news: Any) -> None:
        """One line.

        progress : of the whole job, in [0, 1]; None for as before.
        news : `stage`, what is done now, in words; `seconds_left`; `curve`, {"member": 1, "epoch": 3, "loss": 0.2,
            "validation": 0.3}; `note`, a sentence that the page of the job shows.
        """
        self._progress = self._progress if progress is None else min(max(float(progress), 0.0), 1.0)
        line = json.dumps({"time": time.time(), "progress": self._progress, **news})
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def read_progress(attempt: Path) -> list[dict[str, Any]]:
    """All complete lines so far; none where there is no file yet. A full disk may have cut one: it is left out."""
    file = attempt / FILE
    if not file.is_file():
        return []
    lines = file.read_bytes().split(b"\n")[:-1]  # the last one is empty, or not yet complete
    return [told for line in lines if (told := _read(line)) is not None]


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None
