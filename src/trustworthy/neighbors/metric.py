"""The matrix of a Mahalanobis distance and its root."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from trustworthy.core.errors import InvalidInput

_LEAST = 1e-200  # of a diagonal entry, relative to the largest entry: keeps the division finite


def root_of(metric: ArrayLike, n_features: int) -> Float[np.ndarray, "rank features"]:
    """G with M = GᵀG of a symmetric positive semi-definite M (features, features), without its null directions.

    Features may have any units: M is brought to a diagonal of ones first, so that rounding is relative to
    sqrt(M_ii M_jj) in every entry, and a direction is null by that measure. Where M is semi-definite only up to
    rounding that is larger than this, it is decomposed as it is.

    Cost: one eigen-decomposition, seldom two, O(features³). Raises InvalidInput where M is none of that, or zero.
    """
    matrix = _as_matrix(metric, n_features)
    largest = np.abs(matrix).max()
    if largest == 0.0:
        raise InvalidInput("metric must not be zero: every distance would be 0. Pass None for the Euclidean one.")
    matrix = matrix / largest
    matrix = (matrix + matrix.T) / 2
    values = np.zeros(0)
    for sizes in (np.sqrt(np.maximum(np.diag(matrix), _LEAST)), np.ones(len(matrix))):
        values, vectors = np.linalg.eigh(matrix / sizes[:, None] / sizes)
        rounding = len(values) * np.finfo(np.float64).eps * max(abs(values[0]), values[-1])
        if values[0] >= -max(rounding, 1e-6 * abs(values[-1])):
            kept = values > rounding
            return np.ascontiguousarray(np.sqrt(values[kept])[:, None] * vectors[:, kept].T * sizes * np.sqrt(largest))
    raise InvalidInput(
        f"metric must be positive semi-definite, got a smallest eigenvalue of {values[0] * largest:.3g}. "
        "Pass G.T @ G of a linear map G, or clip the negative eigenvalues."
    )


def _as_matrix(metric: ArrayLike, n_features: int) -> np.ndarray:
    if np.iscomplexobj(metric):
        raise InvalidInput("metric must be real, got complex numbers. Pass metric.real if that is what is meant.")
    try:
        matrix = np.asarray(metric, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"metric must be None or a matrix of numbers, got {metric!r}.") from error
    if matrix.shape != (n_features, n_features):
        raise InvalidInput(
            f"metric must be None or have shape ({n_features}, {n_features}), features by features of X, "
            f"got {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise InvalidInput("metric must be finite, got NaN or inf.")
    if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-6 * np.abs(matrix).max()):
        raise InvalidInput(
            "metric must be symmetric, got a matrix that differs from its transpose by up to "
            f"{np.abs(matrix - matrix.T).max():.3g}. Pass (metric + metric.T) / 2 if that is what is meant."
        )
    return matrix
