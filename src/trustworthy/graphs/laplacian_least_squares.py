"""Weights of Laplacian-regularised least squares, linear and kernel, by symmetric positive definite systems.

`ManifoldRegularization.fit` calls it with rows or their kernel (n, n), the mask of labelled rows, their targets, and
affinities of all rows; weights of the features or of the kernels come out, a column for each function.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import Weights, row_sums

_EPS = float(np.finfo(np.float64).eps)


def linear_weights(
    X: Float[np.ndarray, "n d"],
    known: Bool[np.ndarray, " n"],
    targets: Float[np.ndarray, "known k"],
    graph: Weights | None,
    ridge: float,
    smoothness: float,
) -> Float[np.ndarray, "d k"]:
    """w = (X_lᵀ X_l + ridge I + smoothness XᵀLX)⁻¹ X_lᵀ y_l, by a Cholesky factor."""
    labelled = X[known]
    system = labelled.T @ labelled  # (d, d)
    if graph is not None:
        rows = X - X.mean(axis=0)  # L takes constants to 0: without an offset no digits are lost
        system += smoothness * (rows.T @ (row_sums(graph)[:, None] * rows - graph @ rows))
    system[np.diag_indices_from(system)] += ridge
    try:
        factor = linalg.cho_factor(system, lower=True, check_finite=False)
    except linalg.LinAlgError as error:
        raise _too_small(ridge) from error
    return linalg.cho_solve(factor, labelled.T @ targets, check_finite=False)


def kernel_weights(
    kernel: Float[np.ndarray, "n n"],
    known: Bool[np.ndarray, " n"],
    targets: Float[np.ndarray, "known k"],
    graph: Weights | None,
    ridge: float,
    smoothness: float,
    *,
    centred: bool,
) -> Float[np.ndarray, "n k"]:
    """a = (J K + ridge I + smoothness L K)⁻¹ J y, with J the identity on labelled rows and 0 elsewhere.

    With an intercept of its own, f minimises the distance to the targets about their means, and J takes off the mean
    of the labelled rows: `centred`. Where f = K a is the minimum, the slope K (J f - J y + ridge a + smoothness L f) is
    0, which holds where the bracket is.

    The matrix is not symmetric. With Q = J + smoothness L and a root of the kernel, K = R Rᵀ, the minimum over f = R g
    solves (Rᵀ Q R + ridge I) g = Rᵀ J y, which is symmetric with eigenvalues of at least `ridge`; the bracket then
    gives a = (J y - Q R g) / ridge. The same factor takes off, twice, what rounding left of the bracket.
    """
    labelled = np.flatnonzero(known)
    penalty = _penalty(labelled, graph, smoothness, len(kernel), centred=centred)
    pulls = np.zeros((len(kernel), targets.shape[1]))
    pulls[labelled] = targets - targets.mean(axis=0) if centred else targets
    root = _root(kernel)  # (n, n)
    system = root.T @ (penalty @ root)  # (n, n)
    if ridge < _EPS * np.trace(system):
        raise _too_small(ridge)
    system[np.diag_indices_from(system)] += ridge
    factor = linalg.cho_factor(system, overwrite_a=True, check_finite=False)
    weights, left = np.zeros_like(pulls), pulls
    for _ in range(3):
        weights += (left - penalty @ (root @ linalg.cho_solve(factor, root.T @ left, check_finite=False))) / ridge
        left = pulls - penalty @ (kernel @ weights) - ridge * weights
    return weights


def _too_small(ridge: float) -> InvalidInput:
    return InvalidInput(
        f"ridge must not drown in rounding beside the other terms, got {ridge:g}. Raise ridge, or lower smoothness."
    )


def _penalty(
    labelled: Int[np.ndarray, " known"], graph: Weights | None, smoothness: float, size: int, *, centred: bool
) -> Float[np.ndarray, "n n"]:
    """J + smoothness L."""
    penalty = np.zeros((size, size))
    if graph is not None:
        penalty -= smoothness * (graph if isinstance(graph, np.ndarray) else graph.toarray())
        penalty[np.diag_indices(size)] += smoothness * row_sums(graph)
    penalty[labelled, labelled] += 1.0
    if centred:
        penalty[np.ix_(labelled, labelled)] -= 1.0 / len(labelled)
    return penalty


def _root(kernel: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Lower triangular R with R Rᵀ = K but for rounding, which near or equal rows would make indefinite."""
    lift = len(kernel) * np.finfo(np.float64).eps
    while True:
        lifted = kernel.copy()
        lifted[np.diag_indices_from(lifted)] += lift
        try:
            return linalg.cholesky(lifted, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            lift *= 10.0
