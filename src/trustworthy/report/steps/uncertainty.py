"""Does the model know when it is wrong: calibration, proper scores and what to hand to a human."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from trustworthy import metrics
from trustworthy.core import seeds
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.verdicts import verdict


def calibration(case: Case) -> Measured:
    """Expected calibration error (eq. 5.3) and the reliability diagram."""
    p, y = _probabilities(case), case.labels
    bins = case.plan.uncertainty.bins
    curve = metrics.reliability_curve(p, y, bins=bins)
    confidence = p.max(axis=1)
    gap = float(confidence.mean() - case.accuracy)
    lean = "over" if gap > 0 else "under"
    return Measured([
        case.finding(
            "uncertainty.ece",
            curve.error,
            interval=case.interval("ece", lambda c, r: metrics.ece(c, r, bins=bins), confidence, case.correct),
            property="uncertainty",
            kind="calibration",
            title="Calibration",
            headline=True,
            verdict=verdict("uncertainty.ece", curve.error),
            statement=f"Stated confidence is off by {100 * curve.error:.1f} points on average; overall the model is "
            f"{lean}confident by {100 * abs(gap):.1f} points.",
            higher_is_better=False,
            series={
                "edges": curve.edges.tolist(),
                "confidence": _filled(curve.confidence),
                "accuracy": _filled(curve.accuracy),
                "count": curve.count.tolist(),
                "adaptive_ece": metrics.ece(p, y, bins=bins, binning="mass"),
                "mean_confidence": float(confidence.mean()),
            },
            conditions={"bins": bins},
        )
    ])  # fmt: skip


def scores(case: Case) -> Measured:
    """Negative log-likelihood and Brier score."""
    p, y = _probabilities(case), case.labels
    classes = p.shape[1]
    # The probability of the label is bounded as float32 would round it: one example must not make the mean infinite.
    likelihood = -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny))
    squared = ((p - np.eye(classes)[y]) ** 2).sum(axis=1)
    guess = 1.0 - 1.0 / classes
    return Measured([
        case.finding(
            "uncertainty.nll",
            float(likelihood.mean()),
            interval=case.interval("nll", np.mean, likelihood),
            unit="nats",
            property="uncertainty",
            kind="score",
            title="Negative log-likelihood",
            statement=f"The true class costs {likelihood.mean():.3f} nats on average; "
            f"guessing all {classes} classes evenly costs {np.log(classes):.3f}.",
            higher_is_better=False,
        ),
        case.finding(
            "uncertainty.brier",
            float(squared.mean()),
            interval=case.interval("brier", np.mean, squared),
            property="uncertainty",
            kind="score",
            title="Brier score",
            statement=f"The squared error of the probabilities is {squared.mean():.3f}; "
            f"guessing all {classes} classes evenly has {guess:.3f}.",
            higher_is_better=False,
        ),
    ])  # fmt: skip


def selective(case: Case) -> Measured:
    """Risk against coverage, and the confidence below which predictions should go to a human.

    The threshold is chosen on one random half of the examples, and its risk and coverage are measured on the other:
    on the half that chose it they would look better than they are.
    """
    confidence, wrong = _probabilities(case).max(axis=1), ~case.correct
    curve = metrics.risk_coverage_curve(confidence, wrong)
    target = case.plan.uncertainty.target_risk
    order = seeds.numpy_generator(case.seed, case.subject.name, "selective").permutation(len(wrong))
    choosing, judging = order[: len(order) // 2], order[len(order) // 2 :]
    point = (
        metrics.risk_coverage_curve(confidence[choosing], wrong[choosing]).at_risk(target) if len(choosing) else None
    )
    series: dict[str, Any] = {"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist(), "target_risk": target}
    if point is None:
        series |= {"threshold": None, "coverage_at_threshold": 0.0, "risk_at_threshold": None}
        rule = f"No confidence keeps the error rate at {target:.1%}: every prediction should go to a human."
    else:
        answered = confidence[judging] >= point.threshold
        coverage = float(answered.mean())
        risk = float(wrong[judging][answered].mean()) if answered.any() else 0.0
        series |= {"threshold": point.threshold, "coverage_at_threshold": coverage, "risk_at_threshold": risk}
        rule = (
            f"Send predictions with a confidence below {point.threshold:.3f} to a human: the model then answers "
            f"{coverage:.0%} of the cases and errs in {risk:.1%} of these (target {target:.1%}; threshold chosen on "
            f"{len(choosing)} examples, judged on {len(judging)} others)."
        )
    series["rule"] = rule
    return Measured([
        case.finding(
            "uncertainty.aurc",
            curve.area,
            interval=case.interval("aurc", lambda c, w: metrics.risk_coverage_curve(c, w).area, confidence, wrong),
            property="uncertainty",
            kind="risk_coverage",
            title="Risk and coverage",
            headline=True,
            verdict=verdict("uncertainty.aurc", series["coverage_at_threshold"]),
            statement=rule,
            higher_is_better=False,
            series=series,
            conditions={"target_risk": target},
        )
    ])  # fmt: skip


def _probabilities(case: Case) -> Float[np.ndarray, "n classes"]:
    if not case.subject.gives_scores:
        raise NotApplicable("the model gives labels without probabilities.")
    return case.probabilities


def _filled(values: Float[np.ndarray, " bins"]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
