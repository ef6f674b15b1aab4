"""How far long work is, on standard error: a bar with the time that is left, or a line for each part of the work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")


class Display:
    """A bar of rich, or nothing where none is `shown`."""

    def __init__(self, progress: Any = None, **task: Any) -> None:
        self._progress, self.shown = progress, progress is not None
        self._task = progress and progress.add_task(note="", **task)

    def at(self, completed: int, note: str = "") -> None:
        """Tell how much is done; `note` stands behind the bar."""
        if self.shown:
            self._progress.update(self._task, completed=completed, note=note)

    def say(self, line: str) -> None:
        """Leave a line above the bar."""
        if self.shown:
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
    shown = sys.stderr.isatty() if show is None else show
    count = "DownloadColumn" if size else "MofNCompleteColumn"
    with _columns(count, transient=not lasting) if shown else nullcontext() as progress:
        yield Display(progress, description=title, total=total, completed=completed)


def tracked(items: Iterable[T], title: str, total: int, *, show: bool) -> Iterator[T]:
    """The `total` items, with a bar of how many were taken if `show`."""
    with bar(title, total, show=show) as display:
        for done, item in enumerate(items, start=1):
            yield item
            display.at(done)


def portion(tell: Callable[[float], None], place: int, count: int) -> Callable[[float], None]:
    """Told the share of one of `count` equal parts of some work, it tells the share of all of it."""
    return lambda share: tell((place + min(share, 1.0)) / count)


@contextmanager
def shares(*, of_all: bool = False) -> Iterator[Callable[[str, float], None]]:
    """Yield what is called with the name of the part that is running and the share done, from 0 to 1.

    The share is of that part, or of all parts together. A bar on a terminal; elsewhere a line where a part begins.
    """
    running = ""
    with _columns() if sys.stderr.isatty() else nullcontext() as progress:
        task = progress and progress.add_task("reading", total=1.0, note="")

        def tell(part: str, share: float) -> None:
            nonlocal running
            begins, running = part != running, part
            if progress is None and begins:
                sys.stderr.write(f"{part} ...\n")
                sys.stderr.flush()
            elif progress is not None:
                if begins and not of_all:
                    progress.reset(task)
                progress.update(task, description=part, completed=share)

        yield tell


def _columns(count: str | None = None, **options: Any) -> Any:
    """A display of rich; `count` names the column that says how much is done."""
    from rich import progress as rich  # only where it is shown: it takes a while to import
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        *([] if count is None else [getattr(rich, count)()]),
        rich.TimeElapsedColumn(),
        rich.TextColumn("left:"),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}"),
    )
    return rich.Progress(*columns, console=Console(stderr=True), **options)
