"""Where a job runs: an executor starts an attempt, and its supervisor asks whether it has ended, or ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

LOG = "log.txt"


@runtime_checkable
class Running(Protocol):
    """An attempt that was started."""

    def poll(self) -> int | None:
        """Its exit code, 0 where its result lies in the attempt's folder; None while it runs."""
        ...

    def kill(self) -> None:
        """End it and all that it started, if it has not ended; back when nothing of it runs any more."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Where attempts run."""

    def start(self, attempt: Path) -> Running:
        """Begin the attempt whose orders are saved in this folder. What it prints goes to log.txt there."""
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Attempts are processes on this host, which end with the process that started them (`jobs.orphan`).

    command : to which the folder of the attempt is added. environ : variables besides those of this process.
    """

    command: tuple[str, ...] = (sys.executable, "-m", "trustworthy.studio.training")
    environ: Mapping[str, str] = field(default_factory=dict)

    def start(self, attempt: Path) -> Running:
        with (attempt / LOG).open("ab") as log:
            return _Process(
                [*self.command, str(attempt)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environ},
                start_new_session=True,
            )


class _Process(subprocess.Popen[bytes]):
    def kill(self) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # the session, so that its own children go too
        else:
            super().kill()
        self.wait()
        assert self.stdin is not None
        self.stdin.close()
