"""A bar on a terminal while something arrives; nothing elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustworthy.core.progress import bar

INTERVAL = 0.2  # seconds between two looks at the folder


@contextmanager
def growing(folder: Path, title: str, size: int) -> Iterator[None]:
    """Show on standard error how many of `size` bytes lie in `folder`, for as long as the block runs."""
    done = threading.Event()
    with bar(title, size, size=True, lasting=False) as display:
        if not display.shown:
            yield
            return

        def watch() -> None:
            while not done.wait(INTERVAL):
                display.at(min(arrived(folder), size))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def arrived(folder: Path) -> int:
    """Bytes in the files of `folder`, ignoring files that vanish meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
