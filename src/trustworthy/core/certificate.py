"""What can be proved about the distance to the nearest change of prediction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from trustworthy.core.errors import InvalidInput


@dataclass(frozen=True)
class Certificate:
    """Bounds on the minimal adversarial perturbation of each example.

    lower : no perturbation smaller than this changes the prediction; 0 where the prediction is already wrong.
    upper : some perturbation of this size does; inf where none is known.
    exact : whether lower and upper are the same number, proved optimal, up to the rounding that the method states.
    perturbation : the perturbation of size `upper`, or None where the method finds none.
    """

    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    exact: Bool[np.ndarray, " n"]
    perturbation: Float[np.ndarray, "n features"] | None = None

    def withstands(self, radii: ArrayLike) -> Bool[np.ndarray, "radii n"]:
        """Whether each example is proved to withstand each of `radii` >= 0.

        It is below `lower`, and at radius 0 where it is exactly known to break only farther away.
        """
        limits = as_radii(radii)[:, None]
        return (self.lower > limits) | ((limits == 0.0) & self.exact & (self.upper > 0.0))

    def error_at(self, radii: ArrayLike) -> Float[np.ndarray, " radii"]:
        """Certified error at each of `radii` >= 0, eq. (3.39): the share of examples not proved to withstand it."""
        return (~self.withstands(radii)).mean(axis=1)

    @classmethod
    def joined(cls, parts: Iterable[Certificate]) -> Certificate:
        """One certificate of all the examples of `parts` (at least one), in order."""
        found = list(parts)
        lower, upper, exact = (
            np.concatenate([getattr(p, name) for p in found]) for name in ("lower", "upper", "exact")
        )
        steps: Any = [part.perturbation for part in found]
        return cls(lower, upper, exact, None if any(step is None for step in steps) else np.concatenate(steps))


def as_radii(radii: ArrayLike) -> Float[np.ndarray, " radii"]:
    """Check one radius or several: finite and >= 0."""
    try:
        limits = np.atleast_1d(np.asarray(radii, dtype=np.float64))
    except (TypeError, ValueError):
        limits = np.array([np.nan])
    if limits.ndim != 1 or not np.isfinite(limits).all() or (limits < 0).any():
        raise InvalidInput(f"radii must be finite numbers >= 0, got {radii!r}.")
    return limits
