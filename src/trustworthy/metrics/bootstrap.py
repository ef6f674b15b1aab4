"""How far a number measured on a sample may be off."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.metrics import inputs

CHUNK = 1_000_000
"""Resampled rows held in memory at once."""


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    level: float = 0.95,
    resamples: int = 1000,
    random_state: int | np.random.Generator | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic(*arrays)`.

    Rows are drawn with replacement, the same rows of every array. Resamples for which the statistic is undefined
    (`InvalidInput` or NaN, such as an AUROC without a positive) are left out; the interval is conditional on the rest.

    Parameters
    ----------
    statistic : called on resampled arrays, `resamples` + 1 times. `np.mean` of one array is computed for all
        resamples at once instead.
    arrays : at least one; the first axis, of one length n >= 1 for all, is the examples.
    level : share of the resampled values that the interval holds, in (0, 1).
    resamples : number of resamples, >= 1.
    random_state : seed >= 0 or generator of the resampling; None draws from NumPy's global stream.

    Returns
    -------
    (low, high), in the units of the statistic. Where all rows are equal both ends are its value: an accuracy of 1
    gives (1, 1) however few the examples, and is not proof of perfection: for a share use `proportion_interval`.

    Warns
    -----
    TrustworthyWarning
        If n = 1: one example says nothing about spread.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    checks.fraction("level", level)
    checks.integer("resamples", resamples, at_least=1)
    rows = [_rows(f"arrays[{i}]", values) for i, values in enumerate(arrays)]
    if not rows:
        raise InvalidInput("arrays must hold at least one array, got none.")
    inputs.same_length(**{f"arrays[{i}]": values for i, values in enumerate(rows)})
    if np.isnan(float(statistic(*rows))):
        raise InvalidInput("statistic must be defined on the arrays themselves, got NaN.")
    if len(rows[0]) == 1:
        warn("one example says nothing about spread: the interval is a point.")
    draws = list(_draws(statistic, rows, resamples, _generator(random_state)))
    return _percentiles(np.concatenate(draws), level)


def _draws(
    statistic: Callable[..., float], rows: list[np.ndarray], resamples: int, generator: np.random.Generator
) -> Iterator[Float[np.ndarray, " chunk"]]:
    """The statistic of each resample, NaN where it is undefined."""
    n = len(rows[0])
    chunk = max(1, CHUNK // n)
    for start in range(0, resamples, chunk):
        chosen = generator.integers(0, n, (min(chunk, resamples - start), n))
        if statistic is np.mean and len(rows) == 1 and rows[0].ndim == 1:
            yield rows[0].astype(np.float64)[chosen].mean(axis=1)
        else:
            yield np.array([_or_nan(statistic, [values[index] for values in rows]) for index in chosen])


def _or_nan(statistic: Callable[..., float], rows: list[np.ndarray]) -> float:
    try:
        return float(statistic(*rows))
    except InvalidInput:
        return np.nan


def _percentiles(values: Float[np.ndarray, " draws"], level: float) -> tuple[float, float]:
    ordered = np.sort(values[~np.isnan(values)])
    if 2 * len(ordered) < len(values):
        raise InvalidInput(
            f"statistic must be defined on most resamples, got {len(ordered)} of {len(values)}; "
            "it needs more examples of the rarer kind."
        )
    # Order statistics, not interpolation between them: that of two infinite values is NaN.
    cut = int((1.0 - level) / 2 * (len(ordered) - 1))
    return float(ordered[cut]), float(ordered[-1 - cut])


def _rows(name: str, values: ArrayLike) -> np.ndarray:
    rows = inputs.array(name, values)
    if rows.ndim == 0 or rows.size == 0:
        raise InvalidInput(f"{name} must hold at least one example along its first axis, got shape {rows.shape}.")
    return rows


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None:
        return np.random.Generator(np.random.get_bit_generator())  # pyright: ignore[reportAttributeAccessIssue]
    return np.random.default_rng(checks.integer("random_state", random_state, at_least=0))
