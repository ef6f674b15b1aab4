"""Table 3.3: seconds a test point of each method for 1-NN."""

from __future__ import annotations

import time
from typing import Any

from reproduce.ch3.nearest import fitted, sample, sizes
from reproduce.runner import Setting
from reproduce.store import Measured


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and method."""
    return [f"{data}.{method}" for data in options["data"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Wall time of the points together, divided by their number; a first point compiles and is not counted."""
    data, _, method = cell.partition(".")
    verifier, split = fitted(data, setting)
    x, y = sample(verifier, split, setting.options["points"])
    sizes(verifier, method, x[:1], y[:1], setting)
    started = time.perf_counter()
    sizes(verifier, method, x, y, setting)
    taken = (time.perf_counter() - started) / len(x)
    return [Measured(name=cell, value=float(f"{taken:.4g}"), unit="s", conditions={"points": len(x)})]
