"""Table 7.1: explanations by both criteria of robustness, judged twice, and by insertion and deletion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reproduce.ch7.judged import explained, methods_of
from reproduce.runner import Setting
from reproduce.store import Measured

BEST = {"complement": max, "relevant": min, "insertion": max, "deletion": min}
OURS, OTHER = "greedy-as", "gradient"


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set."""
    return list(options["suites"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """The rows of the table."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    names = methods_of(cell)
    found = {}
    for done, method in enumerate(names, start=1):
        found[method] = explained(cell, setting.options["budget"], method, setting.seed)
        setting.tell(done / len(names))
    means: dict[str, dict[str, float]] = {}
    for method, each in found.items():
        for column, values in each.values.items():
            criterion, _, mark = column.partition("-")
            head = f"{cell}-{mark}" if mark else cell
            mean, n = float(values.mean()), len(values)
            means.setdefault(f"{head}/{criterion}", {})[method] = mean
            error = float(values.std(ddof=1)) / n**0.5 if n > 1 else None
            conditions = {"n": n, "standard_error": error, "calls": round(each.calls), "seconds": each.seconds}
            yield Measured(name=f"{head}.{method}.{criterion}", value=round(mean, 5), conditions=conditions)
    for place, values in means.items():
        head, criterion = place.split("/")
        others = [value for method, value in values.items() if method != OURS]
        rest = [value for method, value in values.items() if method not in (OURS, OTHER)]
        yield Measured(name=f"{head}.best.{criterion}", value=round(BEST[criterion](others), 5))
        yield Measured(name=f"{head}.median.{criterion}", value=round(float(np.median(rest)), 5))
