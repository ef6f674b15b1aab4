"""How often the model is right on clean examples."""

from __future__ import annotations

import numpy as np

from trustworthy.report.steps.case import Case, Measured
from trustworthy.report.verdicts import verdict


def accuracy(case: Case) -> Measured:
    """Accuracy, overall and per class."""
    labels, correct = case.labels, case.correct
    per_class = [
        {"class": case.examples.class_name(int(label)), "accuracy": float(correct[labels == label].mean()),
         "n": int((labels == label).sum())}
        for label in np.unique(labels)
    ]  # fmt: skip
    value = case.accuracy
    weakest = min(per_class, key=lambda row: row["accuracy"])
    sentence = f"{value:.1%} of {len(labels)} examples are classified correctly"
    if len(per_class) > 1:
        sentence += f"; the weakest class is {weakest['class']} with {weakest['accuracy']:.1%}"
    return Measured([
        case.finding(
            "accuracy",
            value,
            interval=case.interval("accuracy", np.mean, correct),
            property="robustness",
            kind="accuracy",
            title="Accuracy on clean examples",
            headline=True,
            verdict=verdict("accuracy", case.accuracy_above_guessing),
            statement=f"{sentence}.",
            higher_is_better=True,
            series={"n": len(labels), "per_class": per_class},
            conditions={"commonest_class_share": case.commonest_share},
        )
    ])  # fmt: skip
