"""Whether the model is right as often as it is confident."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from trustworthy.report import formatting, panel, plots
from trustworthy.report.finding import Finding, Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, Rule, Statistic
from trustworthy.report.markup import element
from trustworthy.report.panel import Group, Item, Panel, Shown
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case


class Settings(Section):
    """Bins of confidence."""

    bins: Count


class Calibration(Series):
    """Reliability diagram: mean confidence, accuracy and number of predictions of each confidence bin."""

    binned: ClassVar = ("confidence", "accuracy", "count")

    edges: Annotated[list[float], Field(min_length=2)]
    confidence: list[Number]
    accuracy: list[Number]
    count: list[int]
    adaptive_ece: float | None = None
    mean_confidence: float | None = None


def measure(case: Case, settings: Settings) -> Measured:
    """Expected calibration error (eq. 5.3) and the reliability diagram."""
    from trustworthy import metrics

    p, y, bins = case.probabilities, case.labels, settings.bins
    curve = metrics.reliability_curve(p, y, bins=bins)
    confidence = p.max(axis=1)
    gap = float(confidence.mean() - case.accuracy)
    lean = "over" if gap > 0 else "under"
    return Measured([case.finding(
        "uncertainty.ece", curve.error, judged=curve.error,
        interval=case.interval("ece", lambda c, r: metrics.ece(c, r, bins=bins), confidence, case.correct),
        statement=f"Stated confidence is off by {100 * curve.error:.1f} points on average; overall the model is "
        f"{lean}confident by {100 * abs(gap):.1f} points.",
        series={
            "edges": curve.edges.tolist(), "confidence": null_where_nan(curve.confidence),
            "accuracy": null_where_nan(curve.accuracy), "count": curve.count.tolist(),
            "adaptive_ece": metrics.ece(p, y, bins=bins, binning="mass"), "mean_confidence": float(confidence.mean()),
        },
        conditions={"bins": bins},
    )])  # fmt: skip


def _rows(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
    """The error from the rows."""
    from trustworthy import metrics

    return partial(metrics.ece, bins=finding.conditions["bins"]), (rows["confidence"], rows["right"])


def draw(shown: Shown) -> list[Panel]:
    """A reliability diagram for each model, and the numbers side by side."""
    lead = (
        "Is the model right as often as it is confident? Bars and markers: accuracy of the predictions of each "
        "confidence, on the dashed line if calibrated; below it the model is overconfident. The lower panel counts the "
        "predictions."
    )
    return [
        Panel(group.title, lead, [group.side_by_side(_figure, "figure"), _numbers(group)]) for group in shown.groups
    ]


def _figure(item: Item) -> list[str]:
    return [plots.reliability(item.id, item.look, item.series), element("figcaption", item.statement())]


def _numbers(group: Group) -> str:
    items = group.items
    rows = [
        panel.row("expected calibration error (ECE)", [item.measured for item in items]),
        panel.row("ECE, bins of equal count", [formatting.score(item.series.adaptive_ece) for item in items]),
        panel.row("mean confidence", [formatting.percent(item.series.mean_confidence) for item in items]),
    ]
    caption = "Calibration in numbers"
    return panel.table(caption, ["calibration", *(item.model for item in items)], rows, label=caption)


RULE = Rule("expected calibration error", 0.03, 0.10)
KIND = Kind(
    name="calibration", step="uncertainty.calibration", property="uncertainty", series=Calibration,
    measure=measure, draw=draw,
    findings={"uncertainty.ece": Judged("Calibration", RULE, higher_is_better=False, headline=True, rows=_rows)},
    settings=in_profiles(Settings, bins=10),
)  # fmt: skip
