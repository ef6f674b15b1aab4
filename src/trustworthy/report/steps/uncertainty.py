"""Does the model know when it is wrong: calibration, proper scores and what to hand to a human."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

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
    """Risk against coverage, and the confidence below which predictions should go to a human."""
    confidence, wrong = _probabilities(case).max(axis=1), ~case.correct
    curve = metrics.risk_coverage_curve(confidence, wrong)
    target = case.plan.uncertainty.target_risk
    order = seeds.numpy_generator(case.seed, "selective").permutation(len(wrong))
    point = handover(confidence[order], wrong[order], target)
    judged = verdict("uncertainty.aurc", point["coverage_at_threshold"])
    if judged == "good" and point["risk_at_threshold"] > target:
        judged = "attention"
    return Measured(
        [
            case.finding(
                "uncertainty.aurc",
                curve.area,
                interval=case.interval("aurc", lambda c, w: metrics.risk_coverage_curve(c, w).area, confidence, wrong),
                property="uncertainty",
                kind="risk_coverage",
                title="Risk and coverage",
                headline=True,
                verdict=judged,
                statement=point["rule"],
                higher_is_better=False,
                series={"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist(), "target_risk": target}
                | point,
                conditions={"target_risk": target},
            )
        ]
    )


def handover(confidence: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], target: float) -> dict[str, Any]:
    """Lowest confidence to answer at, if at most the share `target` of the answers may be wrong, and what it brings.

    It is chosen on the first half of the examples and judged on the second: on the half that chose it, it would look
    better than it is. For the same reason the choice counts one error more than it saw, as conformal risk control does
    (Angelopoulos et al. 2024); without that method's guarantee, because the risk need not fall with the coverage.
    """
    half = len(wrong) // 2
    nothing = {"threshold": None, "coverage_at_threshold": 0.0, "risk_at_threshold": None}
    if (half + 1) * target < 1:
        rule = f"{len(wrong)} examples are too few to establish an error rate of {target:.1%}; audit more of them."
        return nothing | {"coverage_at_threshold": None, "rule": rule}
    threshold = _cautious_threshold(confidence[:half], wrong[:half], target)
    if threshold is None:
        rule = f"No confidence is sure to keep the error rate at {target:.1%}: every prediction should go to a human."
        return nothing | {"rule": rule}
    answered = confidence[half:] >= threshold
    coverage = float(answered.mean())
    risk = float(wrong[half:][answered].mean()) if answered.any() else 0.0
    rule = (
        f"Send predictions with a confidence below {threshold:.3f} to a human: the model then answers {coverage:.0%} "
        f"of the cases and errs in {risk:.1%} of these (target {target:.1%}; threshold chosen on {half} examples, "
        f"judged on {len(wrong) - half} others)."
    )
    return {"threshold": threshold, "coverage_at_threshold": coverage, "risk_at_threshold": risk, "rule": rule}


def _cautious_threshold(
    confidence: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], target: float
) -> float | None:
    curve = metrics.risk_coverage_curve(confidence, wrong)
    allowed = np.flatnonzero((curve.risk * curve.answered + 1.0) / (curve.answered + 1.0) <= target)
    return float(curve.threshold[allowed[-1]]) if len(allowed) else None


def _probabilities(case: Case) -> Float[np.ndarray, "n classes"]:
    if not case.subject.gives_scores:
        raise NotApplicable("the model gives labels without probabilities.")
    return case.probabilities


def _filled(values: Float[np.ndarray, " bins"]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
