"""Figure 5.6: accuracy and calibration error over the severity of corruptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reproduce.ch5.classes import CLEAN, LEVELS, METHODS, Scored, scored
from reproduce.ch5.maps import derived, told
from reproduce.ch5.models import Spec
from reproduce.ch5.table_5_1 import cells
from reproduce.runner import Setting
from reproduce.store import Measured

__all__ = ["cells", "measure"]
DRAWN = {"accuracy": ("acc", max), "ece": ("ece", min)}
"""Heads of the figure: what is measured, and which of two is the better."""


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Means over corruptions at each severity, beside those at the next one and those of the best methods."""
    return list(_measured(cell, setting))


def _measured(cell: str, setting: Setting) -> Iterator[Measured]:
    options, found = setting.options, {}
    for done, method in enumerate(METHODS, start=1):
        spec = Spec(scale=options["budget"], suite=cell, method=method, seed=setting.seed)
        found[method] = [scored(replace(spec, seed=setting.seed + k)) for k in range(options["seeds"])]
        setting.tell(done / len(METHODS))
    for head, (metric, better) in DRAWN.items():
        means = {method: _curve(seeds, metric) for method, seeds in found.items()}
        for method, curve in means.items():
            for level, boxes in curve.items():
                each = [round(value, 4) for value in boxes]
                value = round(float(np.mean(boxes)), 6)
                yield Measured(name=f"{cell}-{head}.{method}@{level}", value=value, conditions={"each": each})
            for level in LEVELS:
                yield derived(f"{cell}-{head}.{method}-milder@{level}", float(np.mean(curve[level - 1])))
        for level in (0, *LEVELS):
            at = {method: float(np.mean(curve[level])) for method, curve in means.items()}
            yield derived(f"{cell}-{head}.best@{level}", better(at.values()))
            yield derived(f"{cell}-{head}.rest@{level}", better(at["batch"], at["snapshot"]))
    for method, seeds in found.items():
        yield told(f"{cell}-fall.{method}", [_at(each, 0, "acc")[0] - np.mean(_at(each, 5, "acc")) for each in seeds])


def _curve(seeds: list[Scored], metric: str) -> dict[int, list[float]]:
    """At each severity, the mean over seeds under each corruption."""
    return {level: np.mean([_at(each, level, metric) for each in seeds], axis=0).tolist() for level in (0, *LEVELS)}


def _at(each: Scored, level: int, metric: str) -> list[float]:
    return [values[metric] for place, values in each.items() if place[1] == level and place != CLEAN]
