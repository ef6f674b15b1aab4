"""Radii at which a model is attacked, where the plan leaves them to the data (docs/plan.md)."""

from __future__ import annotations

import math

from trustworthy.report.plan import CurvePlan
from trustworthy.report.steps.case import Case

SMALL_GREY = 0.1
"""linf radius for grey images of up to 32 pixels a side: strokes are nearly black and white, a tenth leaves them."""
OTHER_IMAGES = 8 / 255
"""linf radius for all other images, the customary one of CIFAR-10."""
TABLE = 0.1
"""linf radius for tables, in standard deviations of each feature."""
L2_SHARE = 0.5
"""Headline l2 radius as a share of the largest l2 length in the linf ball, sqrt(d) * radius."""


def headline_radius(case: Case, norm: str) -> float:
    """Radius of the summary: the plan's, or by kind of data, with two significant digits."""
    chosen = curve_plan(case, norm).headline
    if chosen > 0.0:
        return chosen
    x = case.examples.x
    if not case.examples.is_image:
        linf = TABLE
    else:
        linf = SMALL_GREY if x.shape[1] == 1 and max(x.shape[2:]) <= 32 else OTHER_IMAGES
    if norm == "linf":
        return linf
    return float(f"{L2_SHARE * math.sqrt(x[0].numel()) * linf:.2g}")


def radii(case: Case, norm: str) -> list[float]:
    """Radii of the curve in ascending order, the headline radius among them."""
    headline = headline_radius(case, norm)
    # Rounded, so that three times 0.1 is 0.3 in the table.
    return sorted({headline, *(float(f"{headline * m:.6g}") for m in curve_plan(case, norm).multiples if m != 1.0)})


def curve_plan(case: Case, norm: str) -> CurvePlan:
    """What the plan says of the curve in `norm`."""
    return case.plan.robustness.linf if norm == "linf" else case.plan.robustness.l2
