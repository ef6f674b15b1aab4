"""What users bring, as checked float64 arrays: every public metric passes its arguments through here once.

Anything that `np.asarray` reads is taken: lists, NumPy arrays, pandas columns, torch tensors on the CPU.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from trustworthy.core.errors import InvalidInput

SUM_TOLERANCE = 1e-3
"""Largest distance from one of a row of probabilities: room for a softmax in half precision, far below any logits."""


def array(name: str, values: ArrayLike) -> np.ndarray:
    """Read `values` as `np.asarray` does."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors on a GPU or with a gradient
        raise InvalidInput(f"{name} cannot be read as an array: {error}") from error


def numbers(name: str, values: ArrayLike, *shapes: str) -> Float[np.ndarray, "..."]:
    """Read `values` as a non-empty float64 array without NaN, with the axes of one of `shapes` ("n classes")."""
    given = array(name, values)
    if given.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} must hold real numbers, got dtype {given.dtype}.")
    if given.ndim not in [shape.count(" ") + 1 for shape in shapes]:
        expected = " or ".join(f"({shape.replace(' ', ', ')}{'' if ' ' in shape else ','})" for shape in shapes)
        raise InvalidInput(f"{name} must have shape {expected}, got {given.shape}.")
    if given.size == 0:
        raise InvalidInput(f"{name} must not be empty, got shape {given.shape}.")
    read = given.astype(np.float64, copy=False)
    if np.isnan(read).any():
        raise InvalidInput(f"{name} must not contain NaN, got {np.isnan(read).sum()} of {read.size} values.")
    return read


def finite(name: str, values: ArrayLike, *shapes: str) -> Float[np.ndarray, "..."]:
    """As `numbers`, and without infinities."""
    read = numbers(name, values, *shapes)
    if np.isinf(read).any():
        raise InvalidInput(f"{name} must be finite, got {np.isinf(read).sum()} infinite of {read.size} values.")
    return read


def same_length(**arrays: np.ndarray) -> None:
    """Check that every array has one row per example."""
    if len({len(rows) for rows in arrays.values()}) > 1:
        given = ", ".join(f"{len(rows)} for {name}" for name, rows in arrays.items())
        raise InvalidInput(f"{' and '.join(arrays)} must have one row per example each, got {given}.")


def class_labels(name: str, values: ArrayLike, classes: int | None = None) -> Int[np.ndarray, " n"]:
    """Read class indices (n,) of an integer dtype: >= 0, and below `classes` where it is given."""
    read = numbers(name, values, "n")
    dtype = array(name, values).dtype
    if dtype.kind == "f":
        raise InvalidInput(f"{name} must be class indices of an integer dtype, got {dtype}; cast them to int.")
    if read.min() < 0 or (classes is not None and read.max() >= classes):
        allowed = ">= 0" if classes is None else f"in 0..{classes - 1}"
        raise InvalidInput(f"{name} must be class indices {allowed}, got {read.min():.0f}..{read.max():.0f}.")
    return read.astype(np.int64)


def binary(name: str, values: ArrayLike) -> Bool[np.ndarray, " n"]:
    """Read one truth value per example (n,), written as bool or as 0 and 1."""
    read = numbers(name, values, "n")
    if not np.isin(read, (0.0, 1.0)).all():
        raise InvalidInput(f"{name} must be true or false (1 or 0), got values in [{read.min():g}, {read.max():g}].")
    return read.astype(bool)


def probabilities(name: str, values: ArrayLike) -> Float[np.ndarray, "n classes"]:
    """Read probabilities (n, classes): none negative, each row summing to one within `SUM_TOLERANCE`."""
    read = finite(name, values, "n classes")
    sums = read.sum(axis=1)
    if read.min() < 0.0 or np.abs(sums - 1.0).max() > SUM_TOLERANCE:
        raise InvalidInput(
            f"{name} must be >= 0 and sum to one in each row, got a least value of {read.min():.4g} and sums in "
            f"[{sums.min():.4g}, {sums.max():.4g}]; these look like logits; apply softmax: "
            f"scipy.special.softmax({name}, axis=1)."
        )
    return np.minimum(read, 1.0)  # rounding may lift a certain class above one


def quantiles(values: Float[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " edges"]:
    """The largest value of each of `bins` equally full bins but the last; equal values share a bin, so fewer may be."""
    last = -(-np.arange(1, bins) * len(values) // bins) - 1  # index of the last example of each bin
    return np.unique(np.sort(values)[last])


def confidences(name: str, values: ArrayLike) -> Float[np.ndarray, " n"]:
    """Read one probability per example (n,), in [0, 1]."""
    read = numbers(name, values, "n")
    if read.min() < 0.0 or read.max() > 1.0:
        raise InvalidInput(
            f"{name} must lie in [0, 1], got values in [{read.min():.4g}, {read.max():.4g}]; "
            "these look like logits; apply the sigmoid."
        )
    return read
