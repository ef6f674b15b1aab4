"""A kind of finding is one value: what it measures, how it is judged, what it saves and how the page shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from trustworthy.report.finding import Finding, Property, Series, Verdict
from trustworthy.report.panel import Panel, Shown
from trustworthy.report.settings import Profiles, Section, in_profiles

Statistic = Callable[..., float]
OfRows = Callable[[Finding, Mapping[str, np.ndarray]], tuple[Statistic, tuple[np.ndarray, ...]]]
"""(finding, columns of `rows.parquet`) -> statistic and arrays: the value is statistic(*arrays)."""


class NotApplicable(Exception):
    """A kind says that it does not apply to this model or data, and why."""


@dataclass(frozen=True)
class Rule:
    """What is judged, and from where on it is good or a worry; between the two it deserves attention."""

    judged: str
    good: float
    worry: float

    def __call__(self, quantity: float | None) -> Verdict:
        """Verdict on `quantity`; a quantity that could not be measured is only information."""
        if quantity is None or quantity != quantity:
            return "information"
        sign = 1.0 if self.good > self.worry else -1.0
        if sign * quantity >= sign * self.good:
            return "good"
        return "worry" if sign * quantity <= sign * self.worry else "attention"


@dataclass(frozen=True)
class Judged:
    """One finding that a kind can leave, and how it is read.

    title : heading.
    rule : when it is good or a worry; None for mere information.
    share : whether the value reads as a percentage.
    higher_is_better : direction in which a gate such as `--fail-under` reads the value; None where there is none.
    headline : belongs in the summary.
    rows : the value as a function of the rows, by which two audits of the same rows are compared row by row.
    """

    title: str
    rule: Rule | None = None
    _: KW_ONLY
    share: bool = False
    higher_is_better: bool | None = None
    headline: bool = False
    rows: OfRows | None = None


def mean_of(column: str) -> OfRows:
    """The value is the mean of a column."""
    return lambda finding, rows: (np.mean, (rows[column],))


def beyond(column: str) -> OfRows:
    """The value is the share of the rows whose distance in `column` exceeds the radius of the finding."""

    def stands(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
        distance = rows[column]
        return np.mean, (np.where(np.isnan(distance), np.nan, distance > finding.conditions["eps"]),)

    return stands


@dataclass(frozen=True)
class Measured:
    """What a kind leaves of one model: findings, the arrays that they name, and columns of `rows.parquet`.

    rows : by the name of the column, numbers or truth values of all the examples; NaN where nothing was tried.
    """

    findings: list[Finding]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Kind:
    """A kind of finding.

    Parameters
    ----------
    name : how `findings.json` names it; kinds of one name share a series and are drawn together.
    step : how a plan skips it, an omission and the progress name it: its property, a dot, and its section of the plan.
    findings : by name, what it can leave. A word "linf" or "l2" of a name is the norm.
    measure : (case, settings) -> `Measured`, or (cases, settings) where it is `about` "models" or "data"; it imports
        its algorithms inside, and raises NotApplicable.
    draw : what the page shows of all its findings, from what was saved; neither torch nor an algorithm is imported.
    about : "model" for each model alone, "models" for two or more together, "data" for the data with all the models.
    settings : its section of the plan, by profile; the keys are those of the class.
    series : contract of what is saved.
    attacks : whether it needs the attacks and the radii that kinds share.
    depends : where it is about data, (cases, settings) -> text that changes with what is measured; None for the models.
    written : the value as text where it is neither a share nor a score.
    cost : kinds are measured from cheap to dear, those about one model first.
    """

    name: str
    step: str
    property: Property
    findings: Mapping[str, Judged]
    measure: Callable[[Any, Any], Measured]
    draw: Callable[[Shown], Sequence[Panel]]
    about: Literal["model", "models", "data"] = "model"
    settings: Profiles[Any] = field(default_factory=lambda: in_profiles(Section))
    series: type[Series] = Series
    attacks: bool = False
    depends: Callable[[Sequence[Any], Any], str] | None = None
    written: Callable[[Finding], str] | None = None
    cost: int = 0

    @cached_property
    def section(self) -> str:
        """Name of its section of the plan."""
        return self.step.rpartition(".")[2]

    def judged(self, name: str) -> Judged:
        """How the finding `name` is read; as the first of the kind where it is not declared."""
        return self.findings.get(name) or next(iter(self.findings.values()))
