"""Which way of estimating uncertainty is worth its price: the study behind `trustworthy benchmark uncertainty`."""

from __future__ import annotations

from typing import Any

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name == "run":  # it imports torch, which a page and a table do without
        from trustworthy.report.benchmark.study import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
