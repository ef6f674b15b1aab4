"""What an explanation saves: rows, methods, how each is judged, and in `arrays.npz` scores, orders, curves and inputs.

Arrays, of n rows and g features: `inputs` (n, *shape) in the units of the data and `baseline` (*shape); `present`
(n, g); of each method `METHOD/scores`, `/order`, `/error`, `/shown` (n, g; how strongly the page marks a feature, from
-1 to 1) and `/map` (n, *shape; the same at each coordinate); of each method and criterion
with a curve `METHOD/CRITERION` (n, points).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from trustworthy.core.record import Frozen, versions
from trustworthy.report.folder import Saved

Number = Annotated[float | None, Field(allow_inf_nan=False)]
Interval = tuple[float, float] | None


class Row(Frozen):
    """An explained row.

    row : its number in the test rows of the source. label : true class. prediction : the class that is explained.
    target : class that it is explained against, where one was named.
    probabilities : of the likeliest classes; empty where the model gives none.
    distance : length of the smallest change of all features together that was found to change the prediction (into
        `target`, where there is one); None where none was found.
    words : of a text.
    """

    row: int
    label: str
    prediction: str
    right: bool
    target: str | None = None
    probabilities: dict[str, float] = Field(default_factory=dict)
    distance: Number = None
    words: list[str] = Field(default_factory=list)


class RuleRecord(Frozen):
    """A rule that holds a prediction. said : each condition; none where the prediction holds without a rule.

    wanted : precision that was asked for.
    """

    said: list[str]
    features: list[int]
    precision: float
    wanted: float
    interval: tuple[float, float]
    coverage: float


class Score(Frozen):
    """A method by a criterion, over the rows; see `trustworthy.explain.compare.Row`.

    values : of each row. curve : mean over the rows, where the criterion has curves, and `unbroken` the share of
    the rows at each of its points whose prediction nothing changed. best : whether no other is better.
    tied : whether the difference from the best, on the same rows, is within chance. beyond_chance : whether it is
    better than random orders of the same rows, beyond chance; None where it cannot be told.
    """

    values: list[float]
    curve: list[float] = Field(default_factory=list)
    unbroken: list[float] = Field(default_factory=list)
    mean: float
    interval: Interval
    behind: float
    behind_interval: Interval
    best: bool
    tied: bool
    beyond_chance: bool | None


class Method(Frozen):
    """settings : of the method, in words. scores : by criterion. calls : rows shown to the model for an explanation."""

    title: str
    says: str
    settings: str
    scores: dict[str, Score]
    calls: float
    seconds: float
    rules: list[RuleRecord] = Field(default_factory=list)


class CriterionRecord(Frozen):
    """shares : of the features, where it has curves. chance, chance_curve : where the mean of a random order lies."""

    title: str
    says: str
    higher_is_better: bool
    settings: str
    shares: list[float] = Field(default_factory=list)
    chance: Interval = None
    chance_curve: list[tuple[float, float]] = Field(default_factory=list)


class ExplanationRecord(Frozen):
    """Content of `explanation.json`.

    kind : "image", "table" or "text". norm, units : of distances. feature : what a feature is called.
    features : names of the features, of tables; empty elsewhere.
    values : of each row of a table the values of its features, as text.
    baseline : what a missing feature looks like, in words. held : features that no change may touch.
    methods, criteria : by name, in the order of the page; the first criterion decides.
    left_out : methods, and why.
    """

    schema_version: Literal[1] = 1
    title: str
    created: str
    command: str = ""
    fingerprint: str
    model: dict[str, Any]
    data: dict[str, Any]
    kind: Literal["image", "table", "text"]
    norm: str
    units: str
    unit: str
    feature: str
    features: list[str] = Field(default_factory=list)
    values: list[list[str]] = Field(default_factory=list)
    baseline: str
    held: list[str] = Field(default_factory=list)
    seed: int
    draws: int
    rows: list[Row]
    methods: dict[str, Method]
    criteria: dict[str, CriterionRecord]
    left_out: dict[str, str] = Field(default_factory=dict)
    conditions: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=versions)
    wall_time: float


SAVED = Saved("explanation.json", ExplanationRecord, "explanation")
