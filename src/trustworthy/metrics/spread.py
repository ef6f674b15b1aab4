"""Is a predicted spread large where the prediction is wrong, and as large as the error: for numbers and for pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import inputs
from trustworthy.metrics.image import pearson


@dataclass(frozen=True)
class SparsificationCurve:
    """Mean error of what is kept while the most uncertain examples are taken away.

    removed : share taken away, 0 first, all below 1.
    error : mean error of the rest; within a tie of the uncertainty, its mean over random orders.
    oracle : the same where the largest errors are taken away first: the best that any uncertainty can do.
    """

    removed: Float[np.ndarray, " points"]
    error: Float[np.ndarray, " points"]
    oracle: Float[np.ndarray, " points"]

    @property
    def ause(self) -> float:
        """Area between the curve and the oracle over the shares from 0 to the last, in units of the error.

        0 is the best. An uncertainty without information keeps the mean error, and has the area above the oracle.
        Divide by `error[0]` to compare models whose errors differ.

        Reference: Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical flow", 2018.
        """
        return float(np.trapezoid(self.error - self.oracle, self.removed))


def sparsification_curve(uncertainty: ArrayLike, error: ArrayLike, *, points: int = 100) -> SparsificationCurve:
    """Mean error against the share of the most uncertain examples, such as pixels, that is taken away.

    Parameters
    ----------
    uncertainty : (n,) higher means less certain, on any scale; infinities are allowed, NaN is not.
    error : (n,) finite and >= 0, such as absolute errors.
    points : of the curve, >= 2: shares 0, 1 / points, ... are taken away, of whole examples, at least one being kept.
    """
    spread, cost = _pairs(uncertainty, error)
    steps = checks.integer("points", points, at_least=2)
    n = len(cost)
    kept = np.unique(n - np.arange(steps) * n // steps)[::-1]  # n first; small sets have fewer points
    return SparsificationCurve(1.0 - kept / n, _mean_of_least(spread, cost, kept), _mean_of_least(cost, cost, kept))


def _mean_of_least(
    score: Float[np.ndarray, " n"], cost: Float[np.ndarray, " n"], kept: Int[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    """Mean cost of the `kept` lowest scores, a tie counting in equal parts: the sum is linear within a tie."""
    order = np.argsort(score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order]) > 0) + 1, len(score))  # examples up to the end of each tie
    total = np.append(0.0, np.cumsum(cost[order])[ends - 1])
    return np.interp(kept, np.append(0, ends), total) / kept


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


CORRELATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"pearson": lambda values: values, "spearman": _ranks}


def error_uncertainty_correlation(uncertainty: ArrayLike, error: ArrayLike, *, method: str = "spearman") -> float:
    """Correlation of the uncertainty with the error, over examples or pixels.

    Parameters
    ----------
    uncertainty, error : (n,) finite, the second >= 0, neither constant.
    method : "spearman" compares the ranks, ties having their mean rank, and so asks only for the right order;
        "pearson" compares the values, and so asks for proportion, and lets a few large errors decide.

    Returns
    -------
    A number in [-1, 1], 0 by chance. Even a perfect standard deviation does not reach 1, as errors vary at one spread.
    """
    rule = checks.choice("method", method, CORRELATIONS)
    spread, cost = _pairs(inputs.finite("uncertainty", uncertainty, "n"), error)
    for name, values in (("uncertainty", spread), ("error", cost)):
        if values.min() == values.max():
            raise InvalidInput(f"{name} must not be constant (all its values are {values[0]:g}): no correlation.")
    return float(pearson(rule(spread)[None], rule(cost)[None]))


def interval_coverage(lower: ArrayLike, upper: ArrayLike, y: ArrayLike) -> float | Float[np.ndarray, " n"]:
    """Share of the true values that lie in their intervals, both ends included.

    Parameters
    ----------
    lower, upper, y : (n,) numbers, or (n, channels, height, width) images, lower <= upper, where ends may be infinite.

    Returns
    -------
    The share, or the share of the pixels of each image (n,): pixels of one image are not independent, so that the
    coverage of images is to be judged image by image.
    """
    shapes = ("n", "n channels height width")
    low, high = (inputs.numbers(name, end, *shapes) for name, end in (("lower", lower), ("upper", upper)))
    truth = inputs.finite("y", y, *shapes)
    if not low.shape == high.shape == truth.shape:
        raise InvalidInput(f"lower, upper and y must have one shape, got {low.shape}, {high.shape} and {truth.shape}.")
    if (low > high).any():
        raise InvalidInput(f"lower must be <= upper, got {(low > high).sum()} intervals the other way round.")
    inside = (low <= truth) & (truth <= high)
    return float(inside.mean()) if truth.ndim == 1 else inside.mean(axis=(1, 2, 3))


@dataclass(frozen=True)
class SpreadCurve:
    """Root mean square error against predicted standard deviation, bin by bin of the latter.

    std : root mean predicted variance in each bin, ascending.
    error : root mean square error in each bin.
    count : examples in each bin, none being empty.
    scale : factor by which all standard deviations would have to be multiplied for the likelihood of Gaussian errors
        to be largest, the root mean square of error / std; 1 where they are right, above 1 where they are too small.
    """

    std: Float[np.ndarray, " bins"]
    error: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]
    scale: float

    @property
    def miscalibration(self) -> float:
        """|error - std| / std of the bins, averaged over the examples: the expected normalised calibration error.

        Reference: Levi et al., "Evaluating and calibrating uncertainty prediction in regression tasks", 2022.
        """
        return float(np.average(np.abs(self.error - self.std) / self.std, weights=self.count))


def spread_curve(std: ArrayLike, error: ArrayLike, *, bins: int = 10) -> SpreadCurve:
    """Compare predicted standard deviations with the errors that were made.

    Parameters
    ----------
    std : (n,) finite and > 0, in the units of the errors.
    error : (n,) finite, prediction - truth; its sign does not matter.
    bins : of equally many examples, >= 1; equal standard deviations share a bin, so that there may be fewer.

    Notes
    -----
    "After scaling" is the curve of `scale * std`, with the scale of other examples than those that are judged.
    """
    wanted = checks.integer("bins", bins, at_least=1)
    spread, off = inputs.finite("std", std, "n"), inputs.finite("error", error, "n")
    inputs.same_length(std=spread, error=off)
    if spread.min() <= 0:
        raise InvalidInput(f"std must be > 0, got {spread.min():g}; add the noise of the data to that of the model.")
    where = np.searchsorted(inputs.quantiles(spread, wanted), spread, side="left")
    count = np.bincount(where)
    filled = count > 0
    root = lambda squares: np.sqrt(np.bincount(where, squares)[filled] / count[filled])  # noqa: E731
    return SpreadCurve(root(spread**2), root(off**2), count[filled], float(np.sqrt(np.mean((off / spread) ** 2))))


def _pairs(uncertainty: ArrayLike, error: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    spread, cost = inputs.numbers("uncertainty", uncertainty, "n"), inputs.finite("error", error, "n")
    inputs.same_length(uncertainty=spread, error=cost)
    if cost.min() < 0:
        raise InvalidInput(f"error must be >= 0, got {cost.min():g}; pass np.abs(prediction - target).")
    return spread, cost
