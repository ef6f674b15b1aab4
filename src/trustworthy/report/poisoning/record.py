"""What a study of poisoning saves, and its curve as a mean over splits."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from trustworthy.core.record import Frozen, Record
from trustworthy.report.finding import Number, Series


class Poisoning(Series):
    """Error of a learner against the budget of an attack on its training labels.

    error : what the attack caused; `bound` what none can exceed; `baselines` what other attacks caused.
    changed : labels that it changed.
    clean, guess : without an attack, and of a learner that looks at no row.
    flips : the budget counts flipped labels, and errors are shares of wrong predictions; otherwise it is the l2 norm of
        a change of `labelled` real labels in [0, 1], and errors are RMSE.
    """

    aligned: ClassVar = ("budgets", "error", "bound", "baselines", "changed")

    budgets: Annotated[list[float], Field(min_length=1)]
    error: list[Number]
    bound: list[Number] = Field(default_factory=list)
    baselines: dict[str, list[Number]] = Field(default_factory=dict)
    changed: list[float] = Field(default_factory=list)
    clean: Number
    guess: Number = math.nan
    labelled: int
    flips: bool = True


class Point(Frozen):
    """One budget on one split.

    budget : labels that may be flipped, or l2 norm of the change of labels that lie in [0, 1].
    flipped : rows, by their number in the data set, whose label was changed.
    error, bound : what the attack caused, and what none of this budget can exceed.
    baselines : what other attacks of the same budget caused.
    """

    budget: float
    flipped: list[int]
    error: float
    bound: float
    baselines: dict[str, float] = Field(default_factory=dict)
    wall_time: float


class SplitRecord(Frozen):
    """One draw of the known labels.

    labelled : rows, by their number in the data set, whose label the learner is told.
    gamma : width of its graph.
    clean_error : its error without an attack.
    guess_error : that of always answering with the commonest known class, or the mean of the known labels.
    """

    labelled: list[int]
    gamma: float
    clean_error: float
    guess_error: float
    points: list[Point]


class PoisoningRecord(Record):
    """Content of `poisoning.json`. `value` is the error at the largest budget, a mean over the splits.

    conditions : data, rows, classes, learner, attack and all that defines the measurement.
    fingerprint : hash of these and of the data.
    statement : the answer in one sentence.
    """

    schema_version: int = 1
    created: str
    command: str = ""
    fingerprint: str
    statement: str
    budgets: list[float]
    splits: list[SplitRecord]

    @property
    def classifies(self) -> bool:
        """Whether labels are classes."""
        return self.conditions["task"] == "classification"

    def curve(self) -> Poisoning:
        """Means over the splits."""
        return mean_curve(self.splits, classifies=self.classifies, labelled=self.conditions["labelled"])


def mean_curve(splits: list[SplitRecord], *, classifies: bool, labelled: int) -> Poisoning:
    """Means over splits that have the same budgets."""
    points = [split.points for split in splits]
    names = list(points[0][0].baselines)

    def mean(read: Any) -> list[float]:
        return np.array([[read(point) for point in row] for row in points]).mean(axis=0).tolist()

    return Poisoning(
        budgets=[point.budget for point in points[0]], labelled=labelled, flips=classifies,
        error=mean(lambda point: point.error), bound=mean(lambda point: point.bound),
        baselines={name: mean(lambda point, name=name: point.baselines[name]) for name in names},
        changed=mean(lambda point: len(point.flipped)),
        clean=float(np.mean([split.clean_error for split in splits])),
        guess=float(np.mean([split.guess_error for split in splits])),
    )  # fmt: skip
