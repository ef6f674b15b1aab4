"""Sets of classes that hold the true one as often as was asked for: how often they do, and how large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.core.errors import InvalidInput, MissingPackage
from trustworthy.report import formatting
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, mean_of
from trustworthy.report.panel import Item, Panel, Shown, details, listing, note
from trustworthy.report.settings import Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case
    from trustworthy.uncertainty.conformal.sets import PredictionSets


class Settings(Section):
    """How often a set shall hold the true class."""

    level: Annotated[float, Field(gt=0.0, lt=1.0)]


class OfClass(BaseModel):
    """Coverage and mean size of the sets of the rows of one class; null where none was judged."""

    name: str
    n: int
    coverage: Number
    size: Number


class Sets(Series):
    """How many sets hold the true class, with the interval of that share, and how many have each size, from 0.

    What is judged was not calibrated on. A share above `wanted` is no better than one at it: what counts is the size.
    """

    aligned: ClassVar = ("sizes", "counts")

    wanted: float
    coverage: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)]
    sizes: list[int]
    counts: list[int]
    per_class: list[OfClass] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """Calibrate sets on one half of the rows, drawn by the seed, and judge them on the other half."""
    calibrated, judged = case.halves("conformal")
    sets = _sets(case, calibrated, judged, settings.level)
    covered = sets.covered(case.labels[judged])
    coverage, size, counts = float(covered.mean()), float(sets.size.mean()), np.bincount(sets.size)
    sizes = np.full(len(case.labels), np.nan)
    sizes[judged] = sets.size
    return Measured([case.finding(
        "uncertainty.conformal", size, unit="classes", interval=case.interval("conformal", np.mean, sets.size),
        statement=f"Sets that shall hold the true class of {settings.level:.0%} of the rows hold it in "
        f"{coverage:.1%} and have {size:.2f} classes on average; {counts[1:2].sum() / len(judged):.0%} of them are a "
        f"single class. Calibrated on {len(calibrated)} rows, judged on {len(judged)} others; promised is the mean "
        "over many such halves, for rows like these.",
        series={
            "wanted": settings.level, "coverage": coverage, "interval": [*case.share(covered)],
            "sizes": [*range(len(counts))], "counts": counts.tolist(),
            "per_class": _per_class(case, judged, sets.size, covered),
        },
        conditions={"n": len(judged), "calibrated_on": len(calibrated)},
    )], rows={"set_size": sizes})  # fmt: skip


def _sets(case: Case, calibrated: np.ndarray, judged: np.ndarray, level: float) -> PredictionSets:
    """Adaptive sets, of the least ambiguous ones where two classes leave nothing to adapt."""
    from trustworthy.uncertainty.conformal.sets import calibrate_sets

    p, y = case.probabilities, case.labels
    score = "aps" if len(np.unique(y[calibrated])) > 2 else "lac"
    try:
        return calibrate_sets(p[calibrated], y[calibrated], level=level, score=score, seed=case.seed)(p[judged])
    except (InvalidInput, MissingPackage) as error:
        raise NotApplicable(f"{str(error).rstrip('.')}.") from error


def _per_class(case: Case, rows: np.ndarray, size: np.ndarray, covered: np.ndarray) -> list[dict[str, Any]]:
    told = []
    for label in np.unique(case.labels).tolist():
        of = case.labels[rows] == label
        means = [float(values[of].mean()) if of.any() else None for values in (covered, size)]
        told.append(
            {"name": case.examples.class_name(label), "n": int(of.sum()), "coverage": means[0], "size": means[1]}
        )
    return told


def draw(shown: Shown) -> list[Panel]:
    """For each model, how many sets have each size, and the classes."""
    lead = (
        "In place of one class, a set that holds the true one as often as was asked for, whatever the model: the more "
        "the model knows, the smaller its sets. A set of one class is an answer, any other is a case for a human."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[Markup]:
    s, all_rows, number, percent = item.series, max(sum(item.series.counts), 1), formatting.number, formatting.percent
    sizes = {
        "classes in the set": map(number, s.sizes), "rows": map(number, s.counts),
        "share": [percent(count / all_rows) for count in s.counts],
    }  # fmt: skip
    classes = {
        "class": [each.name for each in s.per_class], "rows": [number(each.n) for each in s.per_class],
        "sets that hold it": [percent(each.coverage) for each in s.per_class],
        "mean size": [number(each.size) for each in s.per_class],
    }  # fmt: skip
    held = f"{percent(s.coverage)} ({formatting.percents(*s.interval)}), {percent(s.wanted)} wanted"
    return [
        note(f"Sets that hold the true class: {held}."),
        listing("Sizes of the sets", sizes, f"Sets, {item.model}"),
        item.statement(),
        details("By class", listing("Sets by class", classes, f"Sets by class, {item.model}")),
    ]


KIND = Kind(
    name="conformal", step="uncertainty.conformal", property="uncertainty", series=Sets, measure=measure, draw=draw,
    findings={
        "uncertainty.conformal": Judged("Size of conformal sets", higher_is_better=False, rows=mean_of("set_size"))
    },
    settings=in_profiles(Settings, level=0.9),
)  # fmt: skip
