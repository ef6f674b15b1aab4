"""A script that measures nothing, for the tests of the framework."""

from __future__ import annotations

from reproduce.runner import NotRun, Setting
from reproduce.store import Measured

from trustworthy.core.errors import DataUnavailable

CALLS: list[str] = []


def cells(options: dict) -> list[str]:
    return options["cells"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    CALLS.append(cell)
    setting.tell(0.5)
    if cell == "gone":
        raise DataUnavailable("gone: no source.\nTried everything.")
    if cell == "hard":
        raise NotRun("too long")
    if cell == "broken":
        raise RuntimeError("power cut")
    return [Measured(name=f"{cell}.a", value=1.0, interval=(0.9, 1.1)), Measured(name=f"{cell}.b", value=2.0)]
