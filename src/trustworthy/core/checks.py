"""Checks of numbers, bounds and names, made once, at the public door. Imports neither torch nor NumPy."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

from trustworthy.core.errors import InvalidInput, UnknownName

T = TypeVar("T")
N = TypeVar("N", int, float)
Bounds = tuple[float, float]


def real(
    name: str, value: object, *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> float:
    """Return `value` as a float after checking that it is a finite real number in the given range."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidInput(f"{name} must be a real number, got {value!r}.")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the floats
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(f"{name} must be finite, got {value!r}.")
    if above is not None and not number > above:
        raise InvalidInput(f"{name} must be > {above:g}, got {value!r}.")
    return _within(name, number, value, at_least, at_most)


def fraction(name: str, value: object) -> float:
    """Return `value` as a float after checking that it lies in (0, 1)."""
    number = real(name, value, above=0.0)
    if not number < 1.0:
        raise InvalidInput(f"{name} must be < 1, got {value!r}.")
    return number


def integer(name: str, value: object, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """Return `value` as an int after checking that it is a whole number in the given range."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidInput(f"{name} must be a whole number, got {value!r}.")
    return _within(name, int(value), value, at_least, at_most)


def _within(name: str, number: N, given: object, at_least: float | None, at_most: float | None) -> N:
    if at_least is not None and number < at_least:
        raise InvalidInput(f"{name} must be >= {at_least:.12g}, got {given!r}.")
    if at_most is not None and number > at_most:
        raise InvalidInput(f"{name} must be <= {at_most:.12g}, got {given!r}.")
    return number


def as_bounds(bounds: Any) -> Bounds | None:
    """Check a pair (lowest, highest) of valid input values; None means unbounded."""
    if bounds is None:
        return None
    if not (isinstance(bounds, tuple | list) or getattr(bounds, "ndim", 0) == 1) or len(bounds) != 2:
        raise InvalidInput(f"bounds must be a pair (lowest, highest) or None for no limits, got {bounds!r}.")
    low, high = (real("bounds (None for no limits)", edge) for edge in bounds)
    if not low < high:
        raise InvalidInput(f"bounds must have lowest < highest, got {bounds!r}. Swap them, or pass None for no limits.")
    return low, high


def choice(name: str, value: str, registry: Mapping[str, T]) -> T:
    """Look `value` up in `registry`, or say which name was probably meant."""
    if not isinstance(value, str) or value not in registry:
        raise UnknownName.of(name, value, registry)
    return registry[value]
