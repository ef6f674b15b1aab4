"""Tables 3.1 and 3.2: sizes of the perturbations that each method finds or proves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch3.nearest import ATTACKS, fitted, sample, sizes
from reproduce.runner import Setting
from reproduce.store import Measured


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and method."""
    return [f"{data}.{method}" for data in options["data"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Mean size over the successes, and the share of successes of an attack."""
    data, _, method = cell.partition(".")
    verifier, split = fitted(data, setting, setting.options.get("rows"))
    x, y = sample(verifier, split, setting.options["points"])
    found = sizes(verifier, method, x, y, setting)
    rows = [intervals.mean(cell, found, source=split.source)]
    if method in ATTACKS:
        rows.append(intervals.share(f"{data}.asr.{method}", np.isfinite(found)))
    if not math.isfinite(float(found.max())):
        rows[0].conditions["failures"] = int((~np.isfinite(found)).sum())
    return rows
