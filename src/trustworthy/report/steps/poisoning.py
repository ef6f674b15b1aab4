"""How few wrong labels among the training data ruin a learner: a graph learner, not the audited models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets import Dataset
from trustworthy.report.gate import ALL_MODELS
from trustworthy.report.poisoning.record import mean_curve
from trustworthy.report.poisoning.rows import LabelledRows, draw, training_part
from trustworthy.report.poisoning.split import Protocol, Split
from trustworthy.report.poisoning.words import answer
from trustworthy.report.steps.case import Case, Measured, NotApplicable


def drawn_rows(cases: Sequence[Case], dataset: Dataset) -> LabelledRows | str:
    """Rows of the two classes that the models confuse most, or why there are none."""
    case = cases[0]
    try:
        pair = most_confused(cases, training_part(dataset)[2])
        return draw(dataset, classes=pair, rows=case.plan.poisoning.rows or None, seed=case.seed)
    except InvalidInput as error:
        return str(error)


def poisoning(cases: Sequence[Case], rows: LabelledRows | str) -> Measured:
    """Error of label propagation against flipped labels, attacked and at random, and its certified bound."""
    case, plan = cases[0], cases[0].plan.poisoning
    if isinstance(rows, str):
        raise NotApplicable(rows)
    if len(rows.y) < 2 * plan.labelled:
        raise NotApplicable(
            f"the classes {rows.classes[0]} and {rows.classes[1]} have {len(rows.y)} {rows.part} rows, of which "
            f"{plan.labelled} should be labelled and at least as many not."
        )
    split = Split(rows, Protocol(labelled=plan.labelled, seed=case.seed))
    budgets = range(min(plan.flips, plan.labelled) + 1)
    points = []
    try:
        for point in split.points(budgets):
            points.append(point)
            case.advance(len(points) / len(budgets))
    except InvalidInput as error:  # a graph that falls apart, or does not fit into memory
        raise NotApplicable(str(error)) from error
    measured = split.record().model_copy(update={"points": points})
    curve = mean_curve([measured], classifies=True, labelled=plan.labelled)
    finding = case.finding(
        "robustness.poisoning",
        curve.error[-1],
        property="robustness",
        kind="poisoning",
        title="Poisoned training labels",
        statement=f"{rows.classes[0]} or {rows.classes[1]}: {answer(curve)} This judges the data and a graph learner "
        "trained on them, not the audited models.",
        series=curve.model_dump(),
        conditions={
            "n": len(rows.y),
            "part": rows.part,
            "classes": list(rows.classes),
            "labelled": plan.labelled,
            "flips": budgets[-1],
            "learner": "LabelPropagation",
            "gamma": measured.gamma,
            "attack": split.protocol.method,
            "flipped": points[-1].flipped,
        },
    )
    return Measured([finding.model_copy(update={"model": ALL_MODELS})])


def most_confused(cases: Sequence[Case], labels: np.ndarray) -> tuple[int, int] | None:
    """The two classes of `labels` that all models together take for each other most often; None if they never do."""
    present = np.unique(labels)
    mistakes = np.zeros((len(present), len(present)), dtype=np.int64)
    for case in cases:
        known = np.isin(case.labels, present) & np.isin(case.predictions, present)
        pair = np.searchsorted(present, [case.labels[known], case.predictions[known]])
        np.add.at(mistakes, (pair.min(axis=0), pair.max(axis=0)), 1)
    mistakes = np.triu(mistakes, k=1)
    if not mistakes.any():
        return None
    first, second = np.unravel_index(int(mistakes.argmax()), mistakes.shape)
    return int(present[first]), int(present[second])
