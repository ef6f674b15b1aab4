"""Table 2.4 and the figures with axes: accuracy under attacks, after more of their steps, and over the draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch2.attacked import is_random, shares, under
from reproduce.ch2.drawn import over_draws
from reproduce.ch2.models import BUDGETS, Spec, model, trained
from reproduce.runner import Setting
from reproduce.store import Measured


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a head of the figure and method."""
    return [f"{head}.{method}" for head, entry in options["heads"].items() for method in entry["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Accuracy at each place, for stochastic models by an attack that follows one draw and by one that averages."""
    head, _, method = cell.partition(".")
    entry = setting.options["heads"][head]
    spec = Spec(
        scale=setting.options["budget"], data=entry["data"], network=entry["network"], method=method, seed=setting.seed
    )
    specs = [replace(spec, seed=setting.seed + k) for k in range(entry.get("seeds", 1))]
    return list((_draws if entry["kind"] == "draws" else _curves)(cell, entry, specs, setting))


def _curves(cell: str, entry: dict[str, Any], specs: list[Spec], setting: Setting) -> Iterator[Measured]:
    head, _, method = cell.partition(".")
    budget, about = BUDGETS[specs[0].scale], conditions(specs)
    random = is_random(model(specs[0]), specs[0].images.test_x)
    ways = {"": 1, "-eot": budget["eot"]} if random else {"": 1}
    for done, (suffix, eot) in enumerate(ways.items(), start=1):
        found = [under(spec, entry["kind"], eot, **entry.get("attack", {})) for spec in specs]
        places = found[0][0]
        for i, place in enumerate(places):
            right = [curve.right[i] for _, curve in found]
            yield shares(f"{cell}{suffix}@{place:g}", right, eot=eot, **about)
            if entry["kind"] == "carlini" and place:
                far = np.concatenate([curve.distance[i] for _, curve in found])
                yield intervals.mean(f"{head}-distortion.{method}{suffix}@{place:g}", far, eot=eot)
        setting.tell(done / len(ways))
    if not entry.get("derived"):
        seconds = np.array([trained(spec).seconds for spec in specs])
        yield Measured(name=f"{head}-training.{method}", value=round(float(seconds.mean()), 3), unit="s")


def _draws(cell: str, entry: dict[str, Any], specs: list[Spec], setting: Setting) -> Iterator[Measured]:
    (spec,) = specs
    for eps in entry["eps"]:
        name = f"{cell}-{eps:g}" if len(entry["eps"]) > 1 else cell
        for count, right in over_draws(spec, eps, entry["draws"]).items():
            yield intervals.mean(f"{name}@{count}", right, **conditions(specs))


def conditions(specs: list[Spec]) -> dict[str, Any]:
    """What the models of a curve were trained with."""
    training, rows = specs[0].budget["training"], specs[0].budget["data"].get("rows")
    return {"passes": training["warm"] + training["epochs"], "rows": rows, "source": specs[0].images.source}
