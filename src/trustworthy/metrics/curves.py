"""Area under a curve that is given by points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import inputs


def area_under_curve(x: ArrayLike, y: ArrayLike) -> float:
    """Area between the line through the points (x, y) and the x axis, by the trapezoidal rule.

    Parameters
    ----------
    x : (points,) finite and in ascending order; equal neighbours make a vertical step. At least two points.
    y : (points,) finite.

    Returns
    -------
    The area, in units of x times units of y.
    """
    across, up = inputs.finite("x", x, "points"), inputs.finite("y", y, "points")
    inputs.same_length(x=across, y=up)
    if len(across) < 2:
        raise InvalidInput("x must hold at least two points, got one: a point has no area.")
    if (np.diff(across) < 0).any():
        raise InvalidInput("x must be in ascending order; sort both with order = np.argsort(x).")
    return float(np.trapezoid(up, across))
