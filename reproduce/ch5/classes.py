"""What is measured of a posterior of classes: accuracy, likelihood and calibration, clean and under corruptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.ch5.models import Spec, asked, digest
from reproduce.kept import kept
from trustworthy import datasets
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.corruptions import CORRUPTIONS
from trustworthy.report.benchmark import scores

METHODS = ("single", "naive", "batch", "snapshot", "fast")
LEVELS = (1, 2, 3, 4, 5)
METRICS = {"acc": "accuracy", "nll": "nll", "ece": "ece"}
CLEAN, SAME = ("all", 0), ("clean", 0)
"""All clean test rows, and those of them that are corrupted too."""
Scored = dict[tuple[str, int], dict[str, float]]
"""By corruption and severity, what `METRICS` names; accuracies in percent."""


def scored(spec: Spec, average: str = "probabilities") -> Scored:
    """Scores of one posterior on clean test rows, and of the first of them under every corruption at every severity."""
    return kept(_scored)(spec, spec.budget, average, spec.common["corrupted"], digest(evaluation=True))


def _scored(spec: Spec, budget: dict[str, Any], average: str, points: int, code: str) -> Scored:
    answers = logits(replace(spec, method="naive") if spec.method == "single" else spec)
    members = slice(0, 1) if spec.method == "single" else slice(None)
    given, labels = answers[CLEAN]
    answers = answers | {SAME: (given[:, :points], labels[:points])}
    found = {}
    for place, (given, labels) in answers.items():
        values = scores.classes(given[members], labels, average).values
        found[place] = {name: float(values[metric] or 0.0) for name, metric in METRICS.items()}
        found[place]["acc"] *= 100
    return found


def logits(spec: Spec) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    """Logits (members, n, classes) and labels, kept: both ways to average ask for them."""
    return kept(_logits)(spec, spec.budget, spec.common["corrupted"], digest(evaluation=True))


def _logits(spec: Spec, budget: dict[str, Any], points: int, code: str) -> dict[Any, Any]:
    rows = {CLEAN: (spec.data.test_x, spec.data.test_y), **corrupted(spec, points)}
    return {place: (asked(spec, x).members.numpy(), y.numpy()) for place, (x, y) in rows.items()}


def corrupted(spec: Spec, points: int) -> dict[tuple[str, int], tuple[Tensor, Tensor]]:
    """The first `points` test rows under each corruption at each severity, or the published files of them."""
    published = spec.common.get("published", {}).get(spec.suite, "")
    found = {}
    for name in spec.common.get("corruptions", CORRUPTIONS):
        for level in LEVELS:
            if published:
                rows = datasets.load(f"{published}/{name}/{level}")
                found[name, level] = torch.from_numpy(rows.x_test), torch.from_numpy(rows.y_test)
            else:
                x = datasets.corrupt(spec.data.test_x[:points], name, level, numpy_generator(0, name, level))
                found[name, level] = x, spec.data.test_y[:points]
    return found
