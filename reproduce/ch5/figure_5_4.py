"""Figure 5.4: correlation of prediction and truth over the density, by models of the least dense and the densest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reproduce.ch5.maps import BAYESIAN, ENSEMBLES, derived, over_methods, told
from reproduce.ch5.table_5_1 import cells, rows
from reproduce.runner import Setting
from reproduce.store import Measured

__all__ = ["cells", "measure"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Means and deviations over images at each density, those of two groups of methods, and what each method loses."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    found = over_methods(cell, setting)
    ((head, tests, _),) = rows(cell, found)
    for suffix, metric in (("", "pearson"), ("-spread", "pearson_deviation")):
        for place, test in tests.items():
            values = {name: [by_test[test].values[metric] for by_test in seeds] for name, seeds in found.items()}
            for method, of_seeds in values.items():
                yield told(f"{head}{suffix}.{method}@{place:g}", of_seeds)
            for group, members in (("ensembles", ENSEMBLES), ("bayesian", BAYESIAN)):
                mean = np.mean([np.mean(values[name]) for name in members])
                yield derived(f"{head}{suffix}.{group}@{place:g}", float(mean))
    home, far = (list(tests.values())[at] for at in ((0, -1) if head == "model-a" else (-1, 0)))
    for method, seeds in found.items():
        losses = [by_test[home].values["pearson"] - by_test[far].values["pearson"] for by_test in seeds]
        yield told(f"fall.{head}-{method}", losses)
