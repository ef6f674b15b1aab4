"""Intervals for every pixel of an image, calibrated by the image: pixels of one image are not independent rows.

A calibration that takes pixels for rows believes to have seen thousands of times as much as it has, and its promise
is empty where errors of neighbouring pixels go together. Here an image counts once, by the share of its pixels that
lie outside of their intervals.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import Predictive
from trustworthy.metrics import inputs
from trustworthy.uncertainty.conformal.intervals import WIDER, CalibratedIntervals, Intervals, answers, scaled_errors

Images = Float[np.ndarray, "n *shape"]


@dataclass(frozen=True, eq=False)
class Maps(Intervals):
    """Lower and upper maps (n, *shape). risk : expected share of the pixels of an image that lie outside.

    level : probability, over the calibration images, that this holds; 0 where it holds on average over them only.
    """

    risk: float

    def missed(self, y: ArrayLike) -> Float[np.ndarray, " n"]:
        """Share of the pixels of each image that lie outside of their intervals."""
        inside = self.covered(y)
        return 1.0 - inside.reshape(len(inside), -1).mean(1)


@dataclass(frozen=True)
class CalibratedMaps(CalibratedIntervals):
    """Gives maps of new images: prediction -/+ factor * std. factor : in units of y where there is no std."""

    risk: float

    def __call__(self, prediction: ArrayLike | Predictive, std: ArrayLike | None = None) -> Maps:
        """The maps of new images."""
        return Maps.around(*self.widths(*answers(prediction, std, _images)), self.level, risk=self.risk)


def calibrate_maps(
    prediction: ArrayLike | Predictive,
    y: ArrayLike,
    *,
    std: ArrayLike | None = None,
    risk: float = 0.1,
    level: float = 0.9,
) -> CalibratedMaps:
    """The smallest factor with which the maps prediction -/+ factor * std miss a share of at most `risk` of an image.

    Guarantee with `level` > 0 (risk-controlling prediction sets): of all sets of calibration images that could have
    been drawn, at least a share `level` gives a factor with which the expected share of the pixels of a new image that
    lie outside of their intervals is at most `risk`. With `level=0` (conformal risk control) the expectation is over
    the calibration images too: it holds on average, and needs fewer of them. Both assume images that are independent
    and from one distribution, and nothing of the pixels in them. Neither says where in an image the missed pixels are.

    Parameters
    ----------
    prediction : (n, *shape), of images that the model was not trained on, (n, channels, height, width) for instance; or
        a `Predictive`, whose mean is taken, and whose spread is taken for `std` where it has several draws.
    y : (n, *shape) what was true. std : (n, *shape) >= 0, how wide the intervals shall be in proportion; None for one
        width everywhere. risk : in (0, 1). level : in [0, 1).

    Raises
    ------
    InvalidInput
        For fewer images than the risk and the level need even if no pixel were missed; says how many. Where more pixels
        than allowed are wrong at a standard deviation of 0, which no factor widens.

    References
    ----------
    Bates et al., "Distribution-free, risk-controlling prediction sets", 2021, with the bound of Hoeffding and Bentkus;
    Angelopoulos et al., "Image-to-image regression with distribution-free uncertainty quantification", 2022;
    Angelopoulos et al., "Conformal risk control", 2022.
    """
    mean, spread = answers(prediction, std, _images)
    truth = _images("y", y)
    if truth.shape != mean.shape:
        raise InvalidInput(f"y must have the shape of prediction, {mean.shape}, got {truth.shape}.")
    checks.fraction("risk", risk)
    controls = _on_average(risk) if level == 0 else _with_probability(risk, checks.fraction("level", level))
    missed = _allowed(len(truth), truth.size, controls, f"risk={risk:g} and level={level:g}")
    errors = scaled_errors(mean, spread, truth).reshape(-1)
    factor = float(np.partition(errors, truth.size - 1 - missed)[truth.size - 1 - missed])
    if not math.isfinite(factor):
        raise InvalidInput(
            f"std is 0 at {np.isinf(errors).mean():.1%} of the pixels where prediction and y differ, more than risk="
            f"{risk:g} leaves room for; {WIDER}."
        )
    return CalibratedMaps(factor, float(level), spread is not None, float(risk))


Controls = Callable[[float, int], bool]
"""Whether a mean risk in [0, 1] that was measured on a number of images shows that the expected one is low enough."""


def _with_probability(risk: float, level: float) -> Controls:
    """Hoeffding's and Bentkus's inequalities for a mean of n numbers in [0, 1]."""
    from scipy.special import bdtr, rel_entr

    def controls(measured: float, n: int) -> bool:
        nats = rel_entr(measured, risk) + rel_entr(1.0 - measured, 1.0 - risk)
        hits = math.ceil(n * measured - 1e-9)
        return measured <= risk and bool(min(math.exp(-n * nats), math.e * bdtr(hits, n, risk)) <= 1.0 - level)

    return controls


def _on_average(risk: float) -> Controls:
    return lambda measured, n: (n * measured + 1.0) / (n + 1.0) <= risk + 1e-12


def _allowed(n: int, pixels: int, controls: Controls, wanted: str) -> int:
    """How many of all pixels of n images may lie outside; refuses n at which not even none is few enough."""
    if not controls(0.0, n):
        needed = bisect_left(range(2**50), True, key=lambda more: controls(0.0, more))
        raise InvalidInput(f"{wanted} needs at least {needed} calibration images, got {n}; give more, or ask for less.")
    return bisect_left(range(pixels), True, key=lambda missed: not controls(missed / pixels, n)) - 1


def _images(name: str, values: ArrayLike) -> Images:
    """Finite numbers in their own floating precision, so that images take no more memory than they did."""
    given = inputs.array(name, values)
    if given.dtype.kind not in "biuf" or given.ndim < 2 or given.size == 0:
        raise InvalidInput(
            f"{name} must hold real numbers of shape (n, *shape), got shape {given.shape} and dtype {given.dtype}."
        )
    if not np.isfinite(given).all():
        raise InvalidInput(f"{name} must be finite, got {(~np.isfinite(given)).sum()} numbers that are not.")
    return given if given.dtype.kind == "f" else given.astype(np.float64)
