"""One bar on standard error with the time that is left; nothing where no one looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Display:
    """Shows nothing."""

    shown = False

    def at(self, completed: int, note: str = "") -> None:
        """Tell how much is done; `note` stands behind the bar."""

    def say(self, line: str) -> None:
        """Leave a line above the bar."""


class _Bar(Display):
    shown = True

    def __init__(self, progress: Any, title: str, total: int, completed: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, completed=completed, note="")

    def at(self, completed: int, note: str = "") -> None:
        self._progress.update(self._task, completed=completed, note=note)

    def say(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)


@contextmanager
def bar(
    title: str, total: int, *, completed: int = 0, size: bool = False, lasting: bool = True, show: bool | None = None
) -> Iterator[Display]:
    """A display of `total` steps, or of as many bytes where `size`, of which `completed` are done.

    Parameters
    ----------
    lasting : the bar stays when all is done.
    show : None shows it only where standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield Display()
        return
    from rich import progress as rich  # only where it is shown: it takes a while to import
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.DownloadColumn() if size else rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("ETA"),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}"),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=not lasting) as progress:
        yield _Bar(progress, title, total, completed)
