"""Table 5.2: accuracy, likelihood and calibration of five methods, and what a spike of the learning rate does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reproduce.ch5.classes import CLEAN, METHODS, METRICS, Scored, scored
from reproduce.ch5.maps import derived, told, warned
from reproduce.ch5.models import Spec, cost, digest, fitted, quiet
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.core.predictive import predict
from trustworthy.uncertainty import SnapshotEnsemble

SPIKE, LOGITS = "spike", "-logits"


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set, and one of the spike."""
    return [*options["suites"], *([SPIKE] if SPIKE in options else [])]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """The numbers of the row, and of the row of its corrupted images."""
    return list(_spike(setting) if cell == SPIKE else _rows(cell, setting))


def _rows(cell: str, setting: Setting) -> Iterator[Measured]:
    scale, seeds = setting.options["budget"], setting.options["seeds"]
    specs = {name: [Spec(scale=scale, suite=cell, method=name, seed=setting.seed + k) for k in range(seeds)]
             for name in METHODS}  # fmt: skip
    found = {}
    for done, (name, of_seeds) in enumerate(specs.items(), start=1):
        found[name] = [scored(spec) for spec in of_seeds]
        if name != "single":
            found[f"{name}{LOGITS}"] = [scored(spec, "logits") for spec in of_seeds]
        setting.tell(done / len(specs))
    for head, of in ((cell, _clean), (f"{cell}-c", _corrupted)):
        means: dict[str, dict[str, float]] = {}
        for name, of_seeds in found.items():
            about = warned(specs[name.removesuffix(LOGITS)])
            rows = [told(f"{head}.{name}.{key}", [of(each, key) for each in of_seeds], **about) for key in METRICS]
            means[name] = {metric: row.value or 0.0 for metric, row in zip(METRICS, rows, strict=True)}
            yield from rows
        gaps = {name: abs(means["naive"]["acc"] - means[name]["acc"]) for name in METHODS if name != "naive"}
        yield derived(f"{head}.fast.gap", gaps.pop("fast"))
        yield derived(f"{head}.rest.gap", min(gaps.values()))
        yield derived(f"{head}.best.ece", min(means[name]["ece"] for name in METHODS))
    for name in METHODS:
        yield told(f"{cell}-cost.{name}", [cost(spec) for spec in specs[name]])


def _clean(each: Scored, metric: str) -> float:
    return each[CLEAN][metric]


def _corrupted(each: Scored, metric: str) -> float:
    return float(np.mean([values[metric] for place, values in each.items() if place[1] > 0]))


def _spike(setting: Setting) -> Iterator[Measured]:
    options = setting.options
    spec = Spec(scale=options["budget"], suite=options[SPIKE], method="single", seed=setting.seed)
    budget = spec.common["spike"]
    for rate in budget["rates"]:
        values = kept(_spiked)(spec, spec.budget, rate, budget["cycles"], budget["epochs"], digest(evaluation=True))
        yield from (Measured(name=f"spike.{name}@{rate:g}", value=value) for name, value in values.items())


def _spiked(spec: Spec, budget: dict[str, Any], rate: float, cycles: int, epochs: int, code: str) -> dict[str, float]:
    """Losses around the first restart, and accuracies before and after all cycles."""
    start, losses = fitted(spec).model, []
    method = SnapshotEnsemble(
        members=cycles,
        epochs=cycles * epochs,
        optimizer="sgd",
        learning_rate=rate,
        batch_size=budget["training"]["batch_size"],
    )
    done = method(
        start,
        spec.rows,
        engine=quiet,
        seed=spec.seed,
        callbacks=[lambda model, history: losses.append(history.records[-1].loss)],
    )
    x, y = spec.data.test_x, spec.data.test_y
    right = [float((predict(model, x).logits.argmax(1) == y).double().mean()) for model in (start, done.model)]
    found = {
        "before": losses[epochs - 1],
        "after": losses[epochs],
        "start": 100 * right[0],
        "ensemble": 100 * right[1],
    }
    return {name: round(value, 4) for name, value in found.items()}
