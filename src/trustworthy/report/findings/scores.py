"""Proper scores of the predicted probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trustworthy.report.kind import Judged, Kind, Measured
from trustworthy.report.markup import element
from trustworthy.report.panel import Panel, Shown, row, table

if TYPE_CHECKING:
    from trustworthy.report.case import Case


def measure(case: Case, settings: Any) -> Measured:
    """Negative log-likelihood and Brier score."""
    p, y = case.probabilities, case.labels
    classes = p.shape[1]
    # The probability of the label is bounded as float32 would round it: one example must not make the mean infinite.
    likelihood = -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny))
    squared = ((p - np.eye(classes)[y]) ** 2).sum(axis=1)
    guess = 1.0 - 1.0 / classes
    return Measured([
        case.finding(
            "uncertainty.nll", float(likelihood.mean()), interval=case.interval("nll", np.mean, likelihood),
            unit="nats", statement=f"The true class costs {likelihood.mean():.3f} nats on average; "
            f"guessing all {classes} classes evenly costs {np.log(classes):.3f}.",
        ),
        case.finding(
            "uncertainty.brier", float(squared.mean()), interval=case.interval("brier", np.mean, squared, most=2.0),
            statement=f"The squared error of the probabilities is {squared.mean():.3f}; "
            f"guessing all {classes} classes evenly has {guess:.3f}.",
        ),
    ])  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """All scores of all models in one table."""
    lead = "One number for accuracy and calibration together; lower is better for NLL and Brier."
    rows = []
    for group in shown.groups:
        cells = {item.model: item.measured for item in group.items}
        rows.append(row(group.title, [cells.get(model, "–") for model in shown.models]))
    scores = table("Scores by model", ["score", *shown.models], rows, label="Scores")
    below = element("div", *(line for group in shown.groups for line in group.statements()), look="muted")
    return [Panel("Scores of the predicted probabilities", lead, [scores, below])]


KIND = Kind(
    name="score", step="uncertainty.scores", property="uncertainty", measure=measure, draw=draw,
    findings={
        "uncertainty.nll": Judged("Negative log-likelihood", higher_is_better=False),
        "uncertainty.brier": Judged("Brier score", higher_is_better=False),
    },
)  # fmt: skip
