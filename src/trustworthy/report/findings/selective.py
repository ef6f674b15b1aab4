"""Which predictions should go to a human."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from markupsafe import Markup

from trustworthy.core import seeds
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Finding, Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, Rule, Statistic
from trustworthy.report.markup import element
from trustworthy.report.panel import Group, Item, Panel, Shown, legend, note
from trustworthy.report.settings import Section, Share, in_profiles

if TYPE_CHECKING:
    from trustworthy.metrics import RiskCoverageCurve
    from trustworthy.report.case import Case

RULE = Rule("share of predictions that can be answered at the target error rate", 0.9, 0.5)


class Settings(Section):
    """Largest share of wrong answers that is accepted before predictions go to a human."""

    target_risk: Share


class RiskCoverage(Series):
    """Error rate of what the model keeps, against the share that it keeps; below `threshold` a human decides."""

    aligned: ClassVar = ("coverage", "risk")

    coverage: list[Number]
    risk: list[Number]
    threshold: float | None = None
    target_risk: float | None = None
    coverage_at_threshold: float | None = None
    risk_at_threshold: float | None = None
    rule: str = ""


def measure(case: Case, settings: Settings) -> Measured:
    """Risk against coverage, and the confidence below which predictions should go to a human."""
    from trustworthy import metrics

    confidence, wrong, target = case.probabilities.max(axis=1), ~case.correct, settings.target_risk
    curve = metrics.risk_coverage_curve(confidence, wrong)
    order = seeds.numpy_generator(case.seed, "selective").permutation(len(wrong))
    point = handover(confidence[order], wrong[order], target)
    verdict = RULE(point["coverage_at_threshold"])
    if verdict == "good" and point["risk_at_threshold"] > target:
        verdict = "attention"
    found = case.finding(
        "uncertainty.aurc", curve.area, verdict=verdict, statement=point["rule"], conditions={"target_risk": target},
        interval=case.interval("aurc", lambda c, w: metrics.risk_coverage_curve(c, w).area, confidence, wrong),
        series={"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist(), "target_risk": target} | point,
    )  # fmt: skip
    if point["coverage_at_threshold"] is None:  # too few rows to say which
        return Measured([found])
    handed = confidence < (np.inf if point["threshold"] is None else point["threshold"])
    return Measured([found], rows={"to_human": handed})


def _rows(finding: Finding, rows: Mapping[str, np.ndarray]) -> tuple[Statistic, tuple[np.ndarray, ...]]:
    """The area from the rows."""
    from trustworthy import metrics

    return lambda c, w: metrics.risk_coverage_curve(c, w).area, (rows["confidence"], ~rows["right"])


def handover(confidence: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], target: float) -> dict[str, Any]:
    """Lowest confidence to answer at, if at most the share `target` of the answers may be wrong, and what it brings.

    It is chosen on the first half of the examples and judged on the second: on the half that chose it, it would look
    better than it is. For the same reason the choice counts one error more than it saw, as conformal risk control does
    (Angelopoulos et al. 2024); without that method's guarantee, because the risk need not fall with the coverage.

    Where that one error more is all that stands in the way of an answer to many of the examples, nothing is judged:
    `coverage_at_threshold` is None.
    """
    from trustworthy import metrics

    half = len(wrong) // 2
    nothing = {"threshold": None, "coverage_at_threshold": 0.0, "risk_at_threshold": None}
    curve = metrics.risk_coverage_curve(confidence[:half], wrong[:half]) if half else None
    if curve is None or not len(allowed := np.flatnonzero(_one_more(curve) <= target)):
        needed = _needed(curve, target)
        if needed is not None:
            rule = (
                f"Too few rows to say: n = {len(wrong)}, of which half choose a threshold for an error rate of "
                f"{target:.1%}; that needs about {needed:,}."
            )
            return nothing | {"coverage_at_threshold": None, "rule": rule}
        rule = f"No confidence is sure to keep the error rate at {target:.1%}: every prediction should go to a human."
        return nothing | {"rule": rule}
    threshold = float(curve.threshold[allowed[-1]])
    answered = confidence[half:] >= threshold
    coverage = float(answered.mean())
    risk = float(wrong[half:][answered].mean()) if answered.any() else 0.0
    rule = (
        f"Send predictions with a confidence below {threshold:.3f} to a human: the model then answers {coverage:.0%} "
        f"of the cases and errs in {risk:.1%} of these (target {target:.1%}; threshold chosen on {half} examples, "
        f"judged on {len(wrong) - half} others)."
    )
    return {"threshold": threshold, "coverage_at_threshold": coverage, "risk_at_threshold": risk, "rule": rule}


def _one_more(curve: RiskCoverageCurve) -> Float[np.ndarray, " points"]:
    """Risk of the answers, had there been one more and wrong."""
    return (curve.risk * curve.answered + 1.0) / (curve.answered + 1.0)


def _needed(curve: RiskCoverageCurve | None, target: float) -> int | None:
    """Rows that would do, were the risks as seen; None where none at a coverage worth a threshold is below `target`.

    One error more makes the risk r of m answers (r m + 1) / (m + 1) <= target if m >= (1 - target) / (target - r).
    """
    if target <= 0.0:
        return None
    if curve is None:
        return 2 * math.ceil((1.0 - target) / target)
    promising = (curve.coverage > RULE.worry) & (curve.risk < target)
    if not promising.any():
        return None
    answers = (1.0 - target) / (target - curve.risk[promising])
    return 2 * math.ceil(float((answers / curve.coverage[promising]).min()) - 1e-9)


def draw(shown: Shown) -> list[Panel]:
    """One curve for each model in one figure, and the thresholds."""
    lead = (
        "If the model may pass its least confident predictions to a human, how many errors are left among those it "
        "keeps? The ring marks the threshold chosen."
    )
    return [Panel(group.title, lead, [_beside(group)]) for group in shown.groups]


def _beside(group: Group) -> Markup:
    models = [(item.model, item.look) for item in group.items]
    own = legend("Models in the figures", models) if len(models) > 1 else ""
    figure = element("figure", plots.risk_coverage(group.id, group.curves), own)
    return element("div", figure, element("div", *map(_model, group.items)), look="columns")


def _model(item: Item) -> Markup:
    s, meaning = item.series, element("span", "confidence below which a human should decide", look="interval")
    chosen = [element("span", "no threshold", look="value")]
    if s.threshold is not None:
        chosen = [element("span", formatting.percent(s.threshold), look="value"), meaning]
    interval = f" ({item.beside})" if item.beside else ""
    area, rule = note(f"Area under the curve: {item.value}{interval}."), item.statement() or note(s.rule)
    return element("div", item.head, element("div", *chosen, look="figure"), rule, area, look="claim")


KIND = Kind(
    name="risk_coverage", step="uncertainty.selective", property="uncertainty", series=RiskCoverage,
    measure=measure, draw=draw,
    findings={
        "uncertainty.aurc": Judged("Risk and coverage", RULE, higher_is_better=False, headline=True, rows=_rows)
    },
    settings=in_profiles(Settings, target_risk=(0.05, 0.02, 0.02)),
)  # fmt: skip
