"""What is measured of a posterior of images: how well it translates, and how well its uncertainty finds the foreign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch5.models import BUDGETS, Spec, asked, digest, fitted
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.report.benchmark import scores
from trustworthy.report.benchmark.record import Scores

OTHERS = ("mc-dropout", "sgld", "svi", "batch", "snapshot")
"""All but the naive ensemble and FastEnsemble."""
ENSEMBLES, BAYESIAN = ("naive", "batch", "snapshot"), ("mc-dropout", "sgld", "svi")
Found = dict[str, list[dict[str, Scores]]]
"""For each method and seed, scores by the name of the test."""


def over_methods(suite: str, setting: Setting) -> Found:
    """Scores of all methods with as many seeds as the options say."""
    scale, seeds = setting.options["budget"], setting.options["seeds"]
    methods = BUDGETS[scale]["images"]["methods"]
    found: Found = {}
    for done, method in enumerate(methods, start=1):
        spec = Spec(scale=scale, suite=suite, method=method, seed=setting.seed)
        found[method] = [scored(replace(spec, seed=setting.seed + k)) for k in range(seeds)]
        setting.tell(done / len(methods))
    return found


def scored(spec: Spec) -> dict[str, Scores]:
    """Scores on each test of the suite."""
    return kept(_scored)(spec, spec.budget, digest(evaluation=True))


def _scored(spec: Spec, budget: dict[str, Any], code: str) -> dict[str, Scores]:
    found = {}
    for name, pairs in spec.data.tests.items():
        answers = asked(spec, pairs.x)
        found[name] = scores.correlation(answers.mean.numpy(), pairs.y.numpy())
        if pairs.masks is not None:
            found[name] = scores.joined(found[name], scores.detection(answers.std.mean(1).numpy(), pairs.masks))
    return found


def warned(specs: Iterable[Spec]) -> dict[str, Any]:
    """How often the library warned while these posteriors were trained, and of what first: conditions of a record."""
    texts = [text for spec in specs for text in fitted(spec).warned]
    return {"warnings": len(texts), "first_warning": texts[0]} if texts else {}


def told(name: str, values: list[float], **conditions: Any) -> Measured:
    """Mean over seeds, with their deviation among the conditions."""
    sample = np.array(values)
    return intervals.splits(name, sample, deviation=round(float(sample.std(ddof=len(sample) > 1)), 6), **conditions)


def derived(name: str, value: float) -> Measured:
    """A number made of others, for a sentence to be judged by."""
    return Measured(name=name, value=round(float(value), 6), conditions={"derived": True})
