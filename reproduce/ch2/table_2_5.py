"""Table 2.5: accuracy of neural equations with and without noise, in training and in testing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reproduce.ch2.attacked import is_right, shares
from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy import datasets
from trustworthy.core.seeds import torch_generator


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and method; an equation without noise has none in testing."""
    return [f"{head}.{method}" for head in options["heads"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Accuracy of the mean of fresh draws on test rows."""
    head, _, method = cell.partition(".")
    entry, scale = setting.options["heads"][head], setting.options["budget"]
    spec = Spec(scale=scale, data=entry["data"], network=entry["network"], method=method, seed=setting.seed)
    specs = [replace(spec, seed=setting.seed + k) for k in range(entry.get("seeds", 1))]
    asked = kept(_right)
    points, tested = setting.options["points"], entry.get("tested", "")
    right = [
        asked(each, each.budget, tested, points, BUDGETS[scale]["draws"], digest(evaluation=True)) for each in specs
    ]
    return [shares(cell, right)]


def _right(spec: Spec, budget: dict[str, Any], tested: str, points: int, draws: int, code: str) -> np.ndarray:
    net, rows = model(spec), spec.tested(points)
    x, y = rows.test_x, rows.test_y
    if tested:  # another test set of the same classes
        found = datasets.load(tested)
        x, y = torch.from_numpy(found.x_test), torch.from_numpy(found.y_test)
    return is_right(net, x, y, draws, torch_generator(spec.seed, "test"))
