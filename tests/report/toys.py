"""Kinds of finding that measure nothing in particular, at once: for tests of the audit, not of what it measures."""

from __future__ import annotations

from typing import Any

import numpy as np

from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule
from trustworthy.report.panel import Panel
from trustworthy.report.settings import Count, Section, in_profiles

MEASURED: list[str] = []
"""Steps that were really measured, in order."""


class Settings(Section):
    """A number."""

    size: Count


def measure_size(case: Any, settings: Settings) -> Measured:
    """The number of the plan, and an array as long."""
    MEASURED.append("robustness.size")
    key = f"{case.subject.name}/size"
    random = case.generator("size").initial_seed() % 1000
    finding = case.finding(
        "robustness.size", float(settings.size), judged=0.5, series={"random": random}, arrays={"size": key}
    )
    return Measured([finding], {key: np.arange(settings.size)})


def measure_logits(case: Any, settings: Section) -> Measured:
    """The largest logit, with an interval; of the rows, that of those that are right."""
    MEASURED.append("uncertainty.logit")
    largest = case.subject.logits.max(axis=1)
    interval = case.interval("logit", np.mean, largest)
    found = case.finding("uncertainty.logit", float(largest.max()), interval=interval)
    return Measured([found], rows={"logit": np.where(case.correct, largest, np.nan)})


def measure_attacks(case: Any, settings: Section) -> Measured:
    """How many attacks are shared; nothing for a model that is always wrong."""
    MEASURED.append("evaluation.arms")
    if not case.correct.any():
        raise NotApplicable("there is nothing to attack.")
    return Measured([case.finding("evaluation.arms", float(len(case.attacks.tried)))])


def measure_models(cases: Any, settings: Section) -> Measured:
    """How many models there are."""
    MEASURED.append("robustness.models")
    return Measured(
        [cases[0].finding("robustness.models", float(len(cases))).model_copy(update={"model": "all models"})]
    )


def nothing(shown: Any) -> list[Panel]:
    """No picture."""
    return []


def toy(step: str, measure: Any, **given: Any) -> Kind:
    about: Any = step.partition(".")[0]
    judged = Judged(title=step, rule=Rule("a number", 1.0, 0.0), higher_is_better=True, headline=True)
    name = step.partition(".")[2]
    return Kind(
        name=name, step=step, property=about, findings={step: judged}, measure=measure,
        draw=nothing, **given,
    )  # fmt: skip


SIZE = toy("robustness.size", measure_size, settings=in_profiles(Settings, size=(2, 3, 4)), cost=1)
LOGIT = toy("uncertainty.logit", measure_logits)
ATTACKS = toy("evaluation.arms", measure_attacks, attacks=True, cost=2)
MODELS = toy("robustness.models", measure_models, about="models")
TOYS = (SIZE, LOGIT, ATTACKS, MODELS)
ORDER = ["uncertainty.logit", "robustness.size", "evaluation.arms"]
"""Steps about one model in the order of their cost."""
