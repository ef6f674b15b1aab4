"""What a benchmark of uncertainty saves: the scores of each trained method on each test, and what each score means."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field

from trustworthy.core.record import Frozen, versions

Number = Annotated[float | None, Field(allow_inf_nan=False)]


class Curve(Frozen):
    """Points of a line."""

    x: list[float]
    y: list[float]


class Scores(Frozen):
    """Of one trained method on one test.

    values : by the names of `meaning.METRICS`; None where a score has no value there, such as the AUROC of no mistakes.
    curves : "roc" (false-positive against true-positive rate), "sparsification" and "oracle" (mean error of what is
        left against the share left out).
    """

    values: dict[str, Number]
    curves: dict[str, Curve] = Field(default_factory=dict)


class Run(Frozen):
    """One method trained once.

    settings : of the method. network, preprocessing : in words. weights : digest of all tensors of the trained model.
    failed : why the training failed; then there is no more.
    members : predictors that are averaged; `fixed` where they are an ensemble, otherwise they are drawn anew.
    passes : gradient steps of all training over those of one network alone. training_seconds : of all of it.
    prediction_seconds : of an image or row, by all members. tests : by name.
    """

    trial: str
    method: str
    seed: int
    settings: str
    network: str
    preprocessing: str
    failed: str = ""
    members: int = 0
    fixed: bool = False
    weights: str = ""
    parameters: int = 0
    training_seconds: float = 0.0
    passes: float = 0.0
    prediction_seconds: float = 0.0
    device: str = "cpu"
    versions: dict[str, str] = Field(default_factory=versions)
    tests: dict[str, Scores] = Field(default_factory=dict)


class TrialRecord(Frozen):
    """What a trial is, in words; `tests` by name, in the order in which they are shown; `shown` in pictures."""

    title: str
    says: str
    tests: dict[str, str]
    shown: list[str] = Field(default_factory=list)


class BenchmarkRecord(Frozen):
    """Content of `benchmark.json`.

    trials : by name. metrics : by name, what each score means and which way is better.
    conditions : all that the numbers depend on beside what each run says.
    """

    schema_version: Literal[1] = 1
    suite: str
    title: str
    created: str
    command: str = ""
    fingerprint: str
    conditions: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    trials: dict[str, TrialRecord]
    methods: list[str]
    seeds: list[int]
    runs: list[Run]
    notes: list[str] = Field(default_factory=list)
    wall_time: float

    def values(self, trial: str, test: str, metric: str) -> dict[str, list[float]]:
        """Of each method that has it, the score under each seed."""
        found: dict[str, list[float]] = {}
        for method, scores in self._scores(trial, test):
            if (value := scores.values.get(metric)) is not None:
                found.setdefault(method, []).append(value)
        return found

    def means(self, trial: str, test: str, metric: str) -> dict[str, float]:
        """Of each method that has it, the mean of the score over the seeds."""
        return {method: fmean(values) for method, values in self.values(trial, test, metric).items()}

    def curve(self, trial: str, test: str, name: str) -> dict[str, Curve]:
        """Of each method that has it, the curve: the mean over seeds, at the same places."""
        found: dict[str, list[Curve]] = {}
        for method, scores in self._scores(trial, test):
            if name in scores.curves:
                found.setdefault(method, []).append(scores.curves[name])
        return {
            method: Curve(x=curves[0].x, y=[fmean(values) for values in zip(*(each.y for each in curves), strict=True)])
            for method, curves in found.items()
        }

    def _scores(self, trial: str, test: str) -> Iterator[tuple[str, Scores]]:
        return ((run.method, run.tests[test]) for run in self.runs if run.trial == trial and test in run.tests)
