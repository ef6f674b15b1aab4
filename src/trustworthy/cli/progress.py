"""A bar on standard error for the step that is running."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def audit_progress() -> Iterator[Callable[[str, str, float], None]]:
    """Yield what an audit calls with (model, step, share done).

    It shows a bar with the time left for each step, or prints a line where standard error is no terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield _log
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("reading", total=1.0)

        def tell(model: str, step: str, share: float) -> None:
            if share == 0.0:
                progress.reset(task, description=f"{model}: {step}")
            progress.update(task, completed=share)

        yield tell


def _log(model: str, step: str, share: float) -> None:
    if share == 0.0:
        print(f"{model}: {step} ...", file=sys.stderr, flush=True)  # noqa: T201
