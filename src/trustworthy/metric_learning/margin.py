"""The margin of a triplet, the smallest change that makes a row of another class the nearer one, and its losses.

`ARML` calls `pair` on the rows of its triplets and `loss_and_gradient` on what comes out, once a step; users call
`triplet_margin`. Rows (n, d) and the map (rank, d) come in, margins (n,), or a mean loss and its gradient, go out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.special import expit

_FLOOR = 1e-6  # least ‖Mu‖² that a loss divides by: rows that the metric holds for the same have no gradient

Loss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

LOSSES: dict[str, Loss] = {
    "negative": lambda margin: (-margin, np.full_like(margin, -1.0)),
    "hinge": lambda margin: (np.maximum(1.0 - margin, 0.0), -(margin < 1.0).astype(margin.dtype)),
    "exponential": lambda margin: (np.exp(-margin), -np.exp(-margin)),
    "logistic": lambda margin: (np.logaddexp(0.0, -margin), -expit(-margin)),
}
"""Name -> the loss of eq. (3.41) and its derivative, elementwise, over margins (n,)."""


def triplet_margin(
    own: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "n d"],
    x: Float[np.ndarray, "n d"],
    root: Float[np.ndarray, "rank d"],
) -> Float[np.ndarray, " n"]:
    """Signed l2 distance of each x to the plane where `own` and `other` are equally far under M = rootᵀ root.

    Eq. (3.45): (d(x, other) - d(x, own)) / (2 ‖M (own - other)‖) with squared distances d. Its positive part is the
    optimum of the triplet problem (3.43); it does not change with the scale of M. Where M cannot tell `own` from
    `other` it is 0.
    """
    gap, offset = pair(*(np.asarray(rows, np.float64) for rows in (own, other, x)))
    return _margin(gap, offset, root, float(np.finfo(np.float64).tiny))[0]


def loss_and_gradient(
    gap: Float[np.ndarray, "n d"],
    offset: Float[np.ndarray, "n d"],
    root: Float[np.ndarray, "rank d"],
    loss: Loss,
) -> tuple[float, Float[np.ndarray, "rank d"]]:
    """Mean loss of the margins of `pair`s and its gradient in the root, in the precision of the arguments.

    The margin is uᵀMc / ‖Mu‖ with the gap u and the offset c, so with h = Mu and r = ‖h‖ a change of M changes it by
    uᵀ dM (c - margin h / r) / r, and that of the root G follows from M = GᵀG. Lengths r below 1e-3 count as 1e-3.
    Cost: two products n d² and two d³.
    """
    margin, image, length, free = _margin(gap, offset, root, _FLOOR)
    value, slope = loss(margin)
    pull = offset - ((margin / length) * free)[:, None] * image
    pull *= (slope / (length * len(margin)))[:, None]
    outer = gap.T @ pull  # (d, d)
    return float(value.mean()), root @ (outer + outer.T)


def pair(own: np.ndarray, other: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gap u = own - other, and offset c of x from their middle: d(x, other) - d(x, own) = 2 uᵀMc, uncancelled."""
    return own - other, x - (own + other) / 2


def _margin(
    gap: np.ndarray, offset: np.ndarray, root: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Margins (n,), images Mu (n, d), their lengths (n,), and where the squared lengths exceed the floor."""
    rank, features = root.shape
    # (n, d), by the cheaper order of products
    image = gap @ (root.T @ root) if 2 * rank > features else (gap @ root.T) @ root
    squared = np.einsum("ij,ij->i", image, image)
    length = np.sqrt(np.maximum(squared, floor))
    return np.einsum("ij,ij->i", image, offset) / length, image, length, squared > floor
