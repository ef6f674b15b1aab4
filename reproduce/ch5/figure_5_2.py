"""Figure 5.2: ROC curves of foreign pixels, ranked by their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reproduce.ch5.maps import over_methods, told
from reproduce.ch5.table_5_1 import AREA, cells, rows
from reproduce.runner import Setting
from reproduce.store import Measured

__all__ = ["cells", "measure"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """True positive rates at the rates of false positives, and the areas."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    found = over_methods(cell, setting)
    for head, tests, metric in rows(cell, found):
        if metric != AREA:
            continue
        (test,) = tests.values()
        for method, seeds in found.items():
            scores = [by_test[test] for by_test in seeds]
            yield told(f"{head}-area.{method}", [each.values[AREA] for each in scores])
            for rate in setting.options["rates"]:
                curves = [each.curves["roc"] for each in scores]
                yield told(f"{head}.{method}@{rate:g}", [float(np.interp(rate, curve.x, curve.y)) for curve in curves])
