"""A progress bar with the time that is left, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from trustworthy.training.history import EpochRecord


class Display:
    """Shows nothing."""

    def step(self, step: int, loss: float) -> None:
        """Tell that `step` steps are done and what the last one's loss was."""

    def epoch(self, record: EpochRecord, epochs: int) -> None:
        """Tell that an epoch is done."""


class _Bar(Display):
    def __init__(self, progress: Progress, steps: int, completed: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=steps, completed=completed, loss="")

    def step(self, step: int, loss: float) -> None:
        self._progress.update(self._task, completed=step, loss=f"loss {loss:.4g}")

    def epoch(self, record: EpochRecord, epochs: int) -> None:
        shown = {"loss": record.loss, **record.metrics}
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
        self._progress.console.print(
            f"epoch {record.epoch}/{epochs}  {numbers}  {record.seconds:.1f} s", highlight=False
        )


@contextmanager
def training_progress(steps: int, completed: int, show: bool | None) -> Iterator[Display]:
    """A display of `steps` steps; `show` None means only where standard error is a terminal."""
    if not (sys.stderr.isatty() if show is None else show):
        yield Display()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, steps, completed)
