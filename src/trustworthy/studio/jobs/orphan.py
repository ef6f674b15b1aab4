"""A process that ends with the one that started it: whoever starts it keeps the other end of its standard input.

The end of the pipe comes however the parent ends, by kill -9 too, and on every system.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

ORPHANED = 75


def when_orphaned(action: Callable[[], object]) -> None:
    """Call `action`, from a thread, when standard input ends."""
    threading.Thread(target=_wait, args=(action,), name="parent", daemon=True).start()


def die_with_parent() -> None:
    """End this process, and all that it started in its session, when standard input ends."""
    when_orphaned(_die)


def _wait(action: Callable[[], object]) -> None:
    # Not sys.stdin: a thread that waits in its buffer makes the interpreter abort when it exits.
    while os.read(0, 1):
        pass
    action()


def _die() -> None:
    if hasattr(os, "killpg") and os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(ORPHANED)
