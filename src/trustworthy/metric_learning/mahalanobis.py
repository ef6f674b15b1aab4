"""What every learner of a Mahalanobis distance shares: checks, the matrix, and the linear map that it transforms by."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn

_SAMPLE = 10_000  # rows of which the typical one is taken
_TYPICAL = 4.0  # typical distances that the unit is at most: a few far rows do not set it
_LEAST, _MOST = 1e-150, 1e150  # units whose squares are numbers


class MahalanobisTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A fitted `components_` G (rank, features): squared distances are (a - b)ᵀ GᵀG (a - b), eq. (3.37)."""

    components_: Float[np.ndarray, "rank features"]
    classes_: np.ndarray
    n_features_in_: int

    def transform(self, X: ArrayLike) -> Float[np.ndarray, "n rank"]:
        """Map rows X (n, features) to where the learned distance is the Euclidean one."""
        check_is_fitted(self)
        rows: Any = validate_data(self, X, dtype=np.float64, reset=False)  # pyright: ignore[reportArgumentType]
        return rows @ self.components_.T

    def get_mahalanobis_matrix(self) -> Float[np.ndarray, "features features"]:
        """M = GᵀG, symmetric and positive semi-definite."""
        check_is_fitted(self)
        return self.components_.T @ self.components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _examples(self, X: ArrayLike, y: ArrayLike) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"], float]:
        """Rows in double precision about their mean, which no distance feels, codes of their classes, and the unit."""
        checked: Any = validate_data(self, X, y, dtype=np.float64)  # pyright: ignore[reportArgumentType]
        rows, labels = checked
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInput(
                f"y must hold at least two classes, got one class, {self.classes_.tolist()[0]!r}: "
                "there is nothing to tell apart."
            )
        if len(self.classes_) == len(rows):
            raise InvalidInput(
                f"y must hold two rows or more of some class, got {len(rows)} rows of {len(rows)} classes: no two rows "
                "belong together. Add rows, or leave the metric as it is."
            )
        unit = unit_of(rows)
        return rows - rows.mean(axis=0), codes.astype(np.int64), unit


def unit_of(rows: Float[np.ndarray, "n d"]) -> float:
    """Length in which a fit measures its rows, so that their own unit does not matter; 1 for features in [0, 1].

    The largest range of a feature, but at most four times the linf distance of the typical (median) row from the
    median of each feature.
    """
    with np.errstate(over="ignore"):
        spread = float(np.ptp(rows, axis=0).max())
    if spread == 0.0:
        raise InvalidInput(f"X must hold different rows, got {len(rows)} equal ones: no metric tells them apart.")
    if not _LEAST < spread < _MOST:
        raise InvalidInput(
            f"X must have a feature whose range lies between {_LEAST:g} and {_MOST:g}, got at most {spread:.3g}: "
            "squared distances leave double precision. Take another unit."
        )
    some = rows[:: max(1, len(rows) // _SAMPLE)]
    typical = float(np.median(np.abs(some - np.median(some, axis=0)).max(axis=1)))
    return min(spread, _TYPICAL * typical) if typical > 0.0 else spread


def warn_idle(learner: str, why: str) -> None:
    """Say that a fit ended where it began."""
    warn(f"{learner} learned nothing, its metric is the one that it began with: {why}")


def warn_unconverged(learner: str, iterations: int) -> None:
    """Say that a fit ended before its tolerance was reached."""
    warn(
        f"{learner} stopped after {iterations} iterations before it reached `tol`: the metric is valid but not the "
        "best one; raise `max_iter` or `tol`.",
        ConvergenceWarning,
    )


def checked_components(n_components: int | None, n_features: int) -> int:
    """Rank of the map: `n_components`, at most the number of features, which is what None stands for."""
    if n_components is None:
        return n_features
    return checks.integer("n_components", n_components, at_least=1, at_most=n_features)


def initial_map(
    init: str | ArrayLike, n_components: int | None, X: Float[np.ndarray, "n d"], unit: float = 1.0
) -> Float[np.ndarray, "rank d"]:
    """The map of centred rows X, divided by their unit, that a descent starts from: an array times it, or "identity".

    The identity of a lower rank is the projection on the leading principal directions of X, which keeps as much of the
    Euclidean distances as that rank can.
    """
    features = X.shape[1]
    if isinstance(init, str):
        rank = checked_components(n_components, features)
        checks.choice("init", init, {"identity": None})
        if rank == features:
            return np.eye(features)
        directions = np.linalg.eigh(X.T @ X)[1][:, ::-1]
        return np.ascontiguousarray(directions[:, :rank].T)
    try:
        given = np.array(init, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f'init must be "identity" or a matrix of numbers, got {init!r}.') from error
    rows = given.shape[0] if n_components is None and given.ndim else checked_components(n_components, features)
    if given.ndim != 2 or given.shape != (rows, features) or not 1 <= rows <= features:
        raise InvalidInput(
            f'init must be "identity" or have shape ({"rank" if n_components is None else rows}, {features}), '
            f"components by features of X with at most {features} rows, got {given.shape}."
        )
    if not np.isfinite(given).all() or not given.any():
        raise InvalidInput("init must be finite and not zero: a zero map has no direction to grow in.")
    return given * unit
