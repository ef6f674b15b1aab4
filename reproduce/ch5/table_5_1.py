"""Table 5.1: foreign pixels found by their uncertainty, and correlation of prediction and truth over the density."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reproduce.ch5.fields import DENSITIES
from reproduce.ch5.maps import OTHERS, Found, derived, over_methods, told, warned
from reproduce.ch5.models import Spec, cost
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.report.benchmark.meaning import MAX_FPR

AREA = "partial_auroc"
COSTS = "cells"
"""The suite that the costs are measured on."""


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a suite."""
    return list(options["suites"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Areas, correlations, and on one suite the cost."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    found = over_methods(cell, setting)
    scale, seeds = setting.options["budget"], range(setting.options["seeds"])
    specs = {name: [Spec(scale=scale, suite=cell, method=name, seed=setting.seed + k) for k in seeds] for name in found}
    about = {name: warned(each) for name, each in specs.items()}
    for head, tests, metric in rows(cell, found):
        yield from _row(found, head, tests, metric, about)
    if cell == COSTS:
        for name, each in specs.items():
            costs = told(f"cost.{name}", [cost(spec) for spec in each])
            yield replace(costs, unit="processor time of training over that of one model")


def rows(suite: str, found: Found) -> list[tuple[str, dict[float, str], str]]:
    """Heads of the table that a suite has: the place of each of its tests, and what is measured."""
    tests = next(iter(found.values()))[0]
    if set(DENSITIES) <= set(tests):
        places = {float(place): name for place, name in enumerate(DENSITIES, start=1)}
        return [(f"model-{suite[-1]}", places, "pearson")]
    areas = [(suite if name == "pasted" else name, {MAX_FPR: name}, AREA) for name in tests if name != "clean"]
    return [*areas, (f"{suite}-pearson", {0.0: "clean"}, "pearson")]


def _row(
    found: Found, head: str, tests: dict[float, str], metric: str, about: dict[str, dict[str, Any]]
) -> Iterator[Measured]:
    for place, test in tests.items():
        means = {}
        for method, seeds in found.items():
            values = [by_test[test].values[metric] for by_test in seeds]
            row = told(f"{head}.{method}@{place:g}" if place else f"{head}.{method}", values, **about[method])
            means[method] = row.value
            yield row
        if place:
            yield derived(f"{head}.best@{place:g}", max(means.values()))
            yield derived(f"{head}.best-other@{place:g}", max(means[name] for name in OTHERS if name in means))
        if metric == AREA:
            yield derived(f"{head}.chance@{place:g}", np.square(MAX_FPR) / 2)
