"""Intervals of a number that hold the true one with a probability that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from trustworthy.core.errors import InvalidInput
from trustworthy.core.extras import required
from trustworthy.core.predictive import Predictive
from trustworthy.metrics import inputs
from trustworthy.uncertainty.conformal.given import AsEstimator, enough

Row = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Where numbers lie, in their units: lower <= upper, both (n, *shape). level : how often they do."""

    lower: Float[np.ndarray, "n *shape"]
    upper: Float[np.ndarray, "n *shape"]
    level: float

    @classmethod
    def around(cls, center: ArrayLike, half_width: ArrayLike, level: float, **more: Any) -> Self:
        """From center - half_width to center + half_width."""
        middle, half = np.asarray(center), np.asarray(half_width)
        return cls(lower=middle - half, upper=middle + half, level=level, **more)

    @property
    def half_width(self) -> Float[np.ndarray, "n *shape"]:
        """Half of upper - lower: the largest error of the centre that the interval leaves possible."""
        return (self.upper - self.lower) / 2

    @property
    def center(self) -> Float[np.ndarray, "n *shape"]:
        """Middle of the interval."""
        return self.lower + self.half_width

    def covered(self, y: ArrayLike) -> Bool[np.ndarray, "n *shape"]:
        """Whether each number lies in its interval."""
        truth = np.asarray(y)
        if truth.shape != self.lower.shape:
            raise InvalidInput(f"y must have the shape of the intervals, {self.lower.shape}, got {truth.shape}.")
        return (self.lower <= truth) & (truth <= self.upper)


@dataclass(frozen=True)
class CalibratedIntervals:
    """Gives intervals of new rows: prediction -/+ factor * std. factor : in units of y where there is no std."""

    factor: float
    level: float
    scaled: bool

    def __call__(self, prediction: ArrayLike | Predictive, std: ArrayLike | None = None) -> Intervals:
        """The intervals of new rows."""
        return Intervals.around(*self.widths(*answers(prediction, std, _column)), self.level)

    def widths(self, mean: np.ndarray, spread: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Centres and half widths; refuses a spread where there was none in calibration, and the other way round.

        Wider by a few roundings: a truth that lies on the end of its interval, as many do where numbers are whole, is
        not lost.
        """
        if (spread is not None) != self.scaled:
            raise InvalidInput(f"std must be given {'as' if self.scaled else 'only where'} it was in calibration.")
        half = np.full_like(mean, self.factor) if spread is None else self.factor * spread
        return mean, half + 4 * np.finfo(half.dtype).eps * (half + np.abs(mean))


def calibrate_intervals(
    prediction: ArrayLike | Predictive, y: ArrayLike, *, std: ArrayLike | None = None, level: float = 0.9
) -> CalibratedIntervals:
    """Find how far a prediction may be off: split conformal intervals, P(y in interval) >= level (MAPIE).

    Parameters
    ----------
    prediction : (n,) or (n, 1), of rows that the model was not trained on; or a `Predictive`, whose mean is taken,
        and whose spread is taken for `std` where it has several draws.
    y : the true numbers, (n,) or (n, 1). level : in (0, 1).
    std : >= 0, how unsure the model is of each row, in any unit: intervals are wider in proportion. None makes all
        intervals equally wide. MAPIE is asked about errors in units of it: its own score for that compares every
        new row with every row of the calibration.

    Raises
    ------
    InvalidInput
        For fewer rows than 1 / (1 - level) or 1 / level; for a wrong prediction at a standard deviation of 0. For
        several numbers in a row: use `calibrate_maps`, or one calibration for each column.
    MissingPackage
        Without MAPIE (extra `conformal`).

    References
    ----------
    Lei et al., "Distribution-free predictive inference for regression", 2018.
    """
    mean, spread = answers(prediction, std, _column)
    truth = _column("y", y)
    inputs.same_length(prediction=mean, y=truth)
    enough(len(truth), level)
    errors = scaled_errors(mean, spread, truth)
    if not np.isfinite(errors).all():
        raise InvalidInput(f"std is 0 in {np.isinf(errors).sum()} rows where prediction and y differ; {WIDER}.")
    asked = required("mapie.regression", "conformal intervals").SplitConformalRegressor(
        AsEstimator(), confidence_level=level, conformity_score="absolute"
    )
    asked.conformalize(np.zeros((len(errors), 1)), errors)
    factor = float(asked.predict_interval(np.zeros((1, 1)))[1][0, 1, 0])
    return CalibratedIntervals(factor, level, spread is not None)


@dataclass(frozen=True, eq=False)
class CalibratedQuantiles:
    """Gives intervals for the two quantiles that a model predicts of new rows."""

    level: float
    split: Any = field(repr=False)

    def __call__(self, lower: ArrayLike, upper: ArrayLike) -> Intervals:
        """The intervals of new rows; a point between both where the correction would turn them around."""
        low, high = self.split.predict_interval(_quantiles(lower, upper), symmetric_correction=True)[1][..., 0].T
        middle = (low + high) / 2
        return Intervals(np.minimum(low, middle), np.maximum(high, middle), self.level)


def calibrate_quantiles(lower: ArrayLike, upper: ArrayLike, y: ArrayLike, *, level: float = 0.9) -> CalibratedQuantiles:
    """Widen (or narrow) two predicted quantiles by one number so that P(y in interval) >= level (MAPIE).

    Parameters
    ----------
    lower, upper : (n,) or (n, 1) each, predictions of the (1 - level) / 2 and (1 + level) / 2 quantiles of y, of rows
        that the model was not trained on. y, level, errors : as in `calibrate_intervals`.

    References
    ----------
    Romano et al., "Conformalized quantile regression", 2019.
    """
    given, truth = _quantiles(lower, upper), _column("y", y)
    inputs.same_length(lower=given, y=truth)
    enough(len(truth), level)
    regressors = [AsEstimator(column=column) for column in (0, 1, 2)]
    split = required("mapie.regression", "conformal intervals").ConformalizedQuantileRegressor(
        regressors, confidence_level=level, prefit=True
    )
    return CalibratedQuantiles(level, split.conformalize(given, truth))


WIDER = "add the part that the model takes for chance (decompose), or leave std out"
"""What to do about a standard deviation of 0 where the prediction is wrong, which no factor makes wide enough."""


def answers(
    prediction: ArrayLike | Predictive, std: ArrayLike | None, read: Callable[[str, Any], np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predictions and how unsure they are, each through `read`; of a posterior, mean and spread of its draws."""
    if isinstance(prediction, Predictive):
        std = prediction.std if std is None and len(prediction.members) > 1 else std
        prediction = prediction.mean
    mean, spread = read("prediction", prediction), None if std is None else read("std", std)
    if spread is not None and (spread.shape != mean.shape or spread.min() < 0):
        raise InvalidInput(
            f"std must be >= 0 and have the shape of prediction, {mean.shape}, got shape {spread.shape} and a least "
            f"value of {spread.min():g}."
        )
    return mean, spread


def scaled_errors(mean: np.ndarray, spread: np.ndarray | None, truth: np.ndarray) -> np.ndarray:
    """Distances from the truth in units of the spread: at a spread of 0, 0 for what is right and inf for the rest."""
    errors = np.abs(truth - mean)
    if spread is None:
        return errors
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(errors / spread, nan=0.0, posinf=np.inf)


def _quantiles(lower: ArrayLike, upper: ArrayLike) -> Float[np.ndarray, "n 3"]:
    """Both quantiles and their middle, which MAPIE asks for and does not use."""
    low, high = _column("lower", lower), _column("upper", upper)
    inputs.same_length(lower=low, upper=high)
    if (low > high).any():
        raise InvalidInput(f"lower must be <= upper, got {(low > high).sum()} rows where it is not; sort the two.")
    return np.stack([low, high, (low + high) / 2], 1)


def _column(name: str, values: ArrayLike) -> Row:
    given = inputs.finite(name, values, "n", "n columns")
    if given.ndim == 2 and given.shape[1] > 1:
        raise InvalidInput(
            f"{name} must hold one number for each row, got {given.shape}; calibrate each column alone, or all of a "
            "row together by calibrate_maps."
        )
    return given.reshape(len(given))
