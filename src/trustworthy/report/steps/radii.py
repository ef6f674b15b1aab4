"""Radii at which a model is attacked, where the plan leaves them to the data (docs/plan.md)."""

from __future__ import annotations

from trustworthy.report.plan import CurvePlan
from trustworthy.report.steps.case import Case


def headline_radius(case: Case, norm: str) -> float:
    """Radius of the summary: the plan's, or by kind of data, with two significant digits."""
    chosen = curve_plan(case, norm).headline
    return chosen if chosen > 0.0 else case.examples.domain.headline(norm)


def radii(case: Case, norm: str) -> list[float]:
    """Radii of the curve in ascending order, the headline radius among them."""
    headline = headline_radius(case, norm)
    # Rounded, so that three times 0.1 is 0.3 in the table.
    return sorted({headline, *(float(f"{headline * m:.6g}") for m in curve_plan(case, norm).multiples if m != 1.0)})


def curve_plan(case: Case, norm: str) -> CurvePlan:
    """What the plan says of the curve in `norm`."""
    return case.plan.robustness.linf if norm == "linf" else case.plan.robustness.l2
