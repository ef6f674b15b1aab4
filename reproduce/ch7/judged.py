"""Every method on every suite, explained and judged once and kept: the table and the figures share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reproduce.ch7.suites import BUDGETS, HERE, Suite, suite
from reproduce.kept import digest_of, kept
from trustworthy.attacks import APGD, Bisection, MinimumNorm
from trustworthy.core.seeds import torch_generator
from trustworthy.explain import METHODS, Criterion, Explainer, Masking, Robustness, SubsetRobustness, compare

NAMES = ("gradient", "ig", "eg", "shap", "loo", "bbmp", "cfx", "anchors", "random", "greedy-as")
"""Columns of Table 7.1, and Anchors, which it names for texts."""
LARGEST = {"mnist": 28.0, "imagenet": 60.0, "text": 60.0}
"""Radii within which the bisection searches."""
LIBRARY = ("core", "nn", "attacks", "explain", "training", "datasets", "models")


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What one method says of the rows of a suite, for each ranking that it makes.

    values : of each criterion, of each row. orders, scores : by criterion, (n, groups). calls : to explain one row.
    """

    values: dict[str, np.ndarray]
    orders: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    calls: float
    seconds: float


def explained(name: str, scale: str, method: str, seed: int) -> Explained:
    """One method on one suite."""
    budget = BUDGETS[scale][name]
    return kept(_explained)(name, budget, method, seed, digest_of(tuple(HERE.glob("*.py")), LIBRARY))


def _explained(name: str, budget: dict[str, Any], method: str, seed: int, code: str) -> Explained:
    rows = suite(name, budget)
    found = compare(
        {method: explainer(method, rows, budget)}, rows.model, rows.x, groups=rows.groups,
        criteria=criteria(name, rows, budget), generator=torch_generator(seed, name), random_orders=0,
    ).results[method]  # fmt: skip
    made = {column: result.attribution for column, result in found.items()}
    return Explained(
        values={column: result.judged.value.numpy() for column, result in found.items()},
        orders={column: attribution.order.numpy() for column, attribution in made.items()},
        scores={column: attribution.scores.numpy() for column, attribution in made.items()},
        calls=float(np.mean([attribution.calls.double().mean() for attribution in made.values()])),
        seconds=max(result.seconds for result in found.values()) / len(rows.x),
    )


def explainer(method: str, rows: Suite, budget: dict[str, Any]) -> Explainer:
    """A method with the settings of the budget."""
    settings = dict(budget["methods"].get(method, {}))
    attack = MinimumNorm(bounds=rows.bounds, steps=budget["steps"])
    if method == "eg" and rows.background is not None:
        settings["background"] = rows.background
    if method in ("cfx", "greedy-as"):
        settings["robustness"] = Robustness(attack=attack)
    if method == "greedy-as":
        settings |= budget.get("greedy", {})
    return METHODS[method](**settings)


def criteria(name: str, rows: Suite, budget: dict[str, Any]) -> dict[str, Criterion]:
    """Both criteria of robustness by both attacks, insertion and deletion."""
    pgd = budget["pgd"]
    bisected = APGD(norm="l2", eps=LARGEST[name], bounds=rows.bounds, steps=pgd["steps"])
    judges = {
        "": MinimumNorm(bounds=rows.bounds, steps=budget["steps"]),
        "-pgd": Bisection(attack=bisected, bisections=pgd["bisections"]),
    }
    found: dict[str, Criterion] = {
        f"{column}{mark}": SubsetRobustness(
            relevant=column == "relevant", shares=budget["shares"], robustness=Robustness(attack=attack)
        )
        for mark, attack in judges.items()
        for column in ("complement", "relevant")
    }
    masking = {"insertion": True, "deletion": False}
    return found | {column: Masking(insert=insert, shares=budget["shares"]) for column, insert in masking.items()}


def methods_of(name: str, options: Sequence[str] | None = None) -> tuple[str, ...]:
    """The columns of the table that a suite has: Anchors of texts alone, learned masks of images alone."""
    left_out = {"text": ("bbmp",)}.get(name, ("anchors",))
    return tuple(method for method in (options or NAMES) if method not in left_out)


def targeted(name: str, scale: str, target: torch.Tensor, seed: int) -> np.ndarray:
    """Scores of Greedy-AS of the first rows against classes."""
    budget = BUDGETS[scale][name]
    code = digest_of(tuple(HERE.glob("*.py")), LIBRARY)
    return kept(_targeted)(name, budget, target.tolist(), seed, code)


def _targeted(name: str, budget: dict[str, Any], target: list[int], seed: int, code: str) -> np.ndarray:
    rows = suite(name, budget)
    few = rows.x[: len(target)]
    method = explainer("greedy-as", rows, budget)
    given: dict[str, Any] = {"target": torch.tensor(target), "generator": torch_generator(seed, name, "targeted")}
    return method(rows.model, few, groups=rows.groups, **given).scores.numpy()
