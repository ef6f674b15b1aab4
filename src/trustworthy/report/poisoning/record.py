"""What a study of poisoning saves, and its curve as a mean over splits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustworthy.core.errors import TrustworthyWarning
from trustworthy.core.files import atomic_write
from trustworthy.core.record import Record
from trustworthy.report.findings.poisoning import Poisoning
from trustworthy.report.store import explained

FILE = "poisoning.json"


class Point(BaseModel):
    """One budget on one split.

    budget : labels that may be flipped, or l2 norm of the change of labels that lie in [0, 1].
    flipped : rows, by their number in the data set, whose label was changed.
    error, bound : what the attack caused, and what none of this budget can exceed.
    baselines : what other attacks of the same budget caused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: float
    flipped: list[int]
    error: float
    bound: float
    baselines: dict[str, float] = Field(default_factory=dict)
    wall_time: float


class SplitRecord(BaseModel):
    """One draw of the known labels.

    labelled : rows, by their number in the data set, whose label the learner is told.
    gamma : width of its graph.
    clean_error : its error without an attack.
    guess_error : that of always answering with the commonest known class, or the mean of the known labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labelled: list[int]
    gamma: float
    clean_error: float
    guess_error: float
    points: list[Point]


class PoisoningRecord(Record):
    """Content of `poisoning.json`. `value` is the error at the largest budget, a mean over the splits.

    conditions : data, rows, classes, learner, attack and all that defines the measurement.
    fingerprint : hash of these and of the data; what another one left is not used.
    finished : false while an interrupted study can be gone on with.
    statement : the answer in one sentence.
    """

    schema_version: int = 1
    created: str
    command: str = ""
    fingerprint: str
    finished: bool
    statement: str = ""
    budgets: list[float]
    splits: list[SplitRecord]

    @property
    def classifies(self) -> bool:
        """Whether labels are classes."""
        return self.conditions["task"] == "classification"

    def asked(self) -> list[SplitRecord]:
        """The splits that were asked for, with the points of `budgets`; `splits` keeps what earlier runs asked for."""
        found = []
        for split in self.splits[: self.conditions["splits"]]:
            points = {point.budget: point for point in split.points}
            found.append(split.model_copy(update={"points": [points[budget] for budget in self.budgets]}))
        return found

    def curve(self) -> Poisoning:
        """Means over the splits that were asked for."""
        return mean_curve(self.asked(), classifies=self.classifies, labelled=self.conditions["labelled"])


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


def save(folder: Path, record: PoisoningRecord) -> None:
    """Write `poisoning.json`, whole or not at all."""
    with explained(folder / FILE), atomic_write(folder / FILE) as stream:
        stream.write(record.model_dump_json(indent=1))


def kept(folder: Path | None, fingerprint: str) -> list[SplitRecord]:
    """What an interrupted study of the same fingerprint has measured."""
    path = None if folder is None else folder / FILE
    if path is None or not path.exists():
        return []
    try:
        found = PoisoningRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        warnings.warn(f"{path} is damaged; everything is measured again.", TrustworthyWarning, stacklevel=3)
        return []
    if found.fingerprint != fingerprint:
        warnings.warn(
            f"{path} is of another study (data, learner, attack, seed or version differ) and will be replaced.",
            TrustworthyWarning,
            stacklevel=3,
        )
        return []
    return found.splits
