"""Why a model predicts what it does on some rows, and which explanation to trust: the study behind `explain`."""

from __future__ import annotations

from typing import Any

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name == "run":  # it imports torch, which a page and a table do without
        from trustworthy.report.explanation.study import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
