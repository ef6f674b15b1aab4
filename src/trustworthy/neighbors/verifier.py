"""The nearest-neighbour classifier that says how far each prediction can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from jaxtyping import Float
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trustworthy.core import checks
from trustworthy.core.certificate import Certificate, as_radii
from trustworthy.core.checks import Bounds
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.core.progress import tracked
from trustworthy.core.result import AttackResult
from trustworthy.neighbors.attacks import ATTACKS, NeighborAttack
from trustworthy.neighbors.bounds import lower_bounds
from trustworthy.neighbors.branch import exact_knn
from trustworthy.neighbors.exact import ORDERS, exact_one
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.metric import root_of

_BLOCK = 64  # queries of a task: enough to share a matrix product; the same for any n_jobs, and so are the results
_FAR = 1e12  # coordinate of a query, in units of the spread of the training rows, up to which squares are finite


@dataclass(kw_only=True, eq=False, repr=False)
class NearestNeighborVerifier(ClassifierMixin, BaseEstimator):
    """K nearest neighbours, with the smallest change of an input that changes its prediction: exact, bounded, attacked.

    Distance ties go to the row that came first, ties of the vote to the class that sorts first. With one neighbour, a
    training row that repeats an earlier one (under the metric) can never win and is dropped, whatever its class.

    Parameters
    ----------
    n_neighbors : odd number K of neighbours that vote, at most the number of rows of the smallest class.
    metric : None for the Euclidean distance, else the matrix M (features, features) of the squared distance
        (a - b)ᵀ M (a - b): symmetric and positive semi-definite.
    norm : "l2", "linf" or "l1", in which the size of a perturbation of the input is measured, whatever the metric.
    bounds : (lowest, highest) value of a valid input, which perturbed inputs must keep; None for no limits.
    n_jobs : processes, as in scikit-learn. Inside `joblib.parallel_config(backend=...)` the work goes where it says.

    Attributes
    ----------
    classes_ : (classes,) the labels, sorted.
    n_features_in_ : features seen by `fit`.

    References
    ----------
    Chapter 3 of the dissertation: Algorithms 5, 6, 8 and 9, Lemma 3 and Theorem 3.
    """

    n_neighbors: int = 1
    metric: ArrayLike | None = None
    norm: str = "l2"
    bounds: Bounds | None = None
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows X (n, features) with labels y (n,), in double precision."""
        checks.choice("norm", self.norm, ORDERS)
        given: Any = X, y
        rows, labels = cast("tuple[Any, Any]", validate_data(self, *given, dtype=np.float64, order="C"))
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._check_classes(codes)
        self._bounds = checks.as_bounds(self.bounds)
        self._check_inside("X", rows)
        self._norm, self._count = self.norm, int(self.n_neighbors)
        self._unit = _unit_of(rows)
        root = None if self.metric is None else root_of(self.metric, rows.shape[1])
        self._root_unit = 1.0 if root is None else _power_of_two(np.abs(root).max())
        geometry = Geometry(
            points=rows if self._unit == 1.0 else rows / self._unit,
            labels=codes,
            root=None if root is None else root / self._root_unit,
        )
        self._geometry = geometry.without_duplicates() if self._count == 1 else geometry
        left = np.unique(self._geometry.labels)
        if len(left) < 2:
            raise InvalidInput(
                "X must have distinct rows of two classes under the metric, got only those of "
                f"{self.classes_.tolist()[left[0]]!r} once rows that repeat an earlier one are left out: nothing could "
                "change."
            )
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Labels (m,) of the rows X (m, features)."""
        queries = self._scaled(self._queries(X))
        return self.classes_[self._geometry.predict(queries, self._count)]

    def exact(self, X: ArrayLike, y: ArrayLike, *, time_limit: float = 1.0, progress: bool = False) -> Certificate:
        """Smallest perturbation of each row of X (m, features) with label y (m,) that changes its prediction.

        With one neighbour the answer is exact (`lower` equals `upper` to a relative 1e-6, or to rounding). With more,
        in l2 alone, a branch and bound runs for at most `time_limit` seconds a row, and `exact` says where it ended.
        Rows that are wrong to begin with have radius 0.
        """
        limit = checks.real("time_limit", time_limit, above=0.0)
        queries, codes = self._examples(X, y)
        options: dict[str, Any] = {"bounds": self._limits}
        if self._count > 1:
            self._only_l2("exact with more than one neighbour")
            solve: Callable[..., Certificate] = exact_knn
            options |= {"n_neighbors": self._count, "time_limit": limit}
        else:
            solve = exact_one
            options["norm"] = self._norm
        parts, unit = self._blocks(solve, queries, codes, options, progress), self._unit
        found = Certificate.joined(
            Certificate(part.lower * unit, part.upper * unit, part.exact, part.perturbation * unit) for part in parts
        )
        if self._count == 1:
            _say_what_failed(found)
        return found

    def lower_bound(
        self, X: ArrayLike, y: ArrayLike, *, n_same: int | None = None, progress: bool = False
    ) -> Float[np.ndarray, " m"]:
        """Sizes (m,) in l2 below which no perturbation changes the prediction, without solving a programme.

        Equations (3.12) for one neighbour and (3.18) for more; Theorem 3 under a metric.

        n_same : rows of the own class that are used, the nearest ones; None for all, which gives the best bound.
        """
        self._only_l2("lower_bound")
        if n_same is not None:
            n_same = checks.integer("n_same", n_same, at_least=(self._count + 1) // 2)
            n_same = min(n_same, len(self._geometry.points))
        queries, codes = self._examples(X, y)
        options = {"n_neighbors": self._count, "n_same": n_same}
        return np.concatenate(list(self._blocks(lower_bounds, queries, codes, options, progress))) * self._unit

    def attack(
        self, X: ArrayLike, y: ArrayLike, attack: str | NeighborAttack = "qp-greedy", *, progress: bool = False
    ) -> AttackResult:
        """Perturbations found by an attack, each one verified: what it breaks withstands no more than `distance`.

        attack : a value such as `QPGreedy(min_trials=20)`, or a name in `ATTACKS` for one with its usual settings.

        In the result, `distance` is the size of the perturbation in `norm`: inf where the attack failed, and 0 for rows
        that are wrong to begin with; `queries` is 0, since these attacks read the training rows and ask no model.
        """
        check_is_fitted(self)
        if isinstance(attack, str):
            attack = checks.choice("attack", attack, ATTACKS)()
        if not isinstance(attack, NeighborAttack):
            raise InvalidInput(f"attack must be a name in ATTACKS or a NeighborAttack, got {attack!r}.")
        attack = attack.in_units(self._unit, self._unit * self._root_unit)
        queries, codes = self._examples(X, y)
        settings = {"n_neighbors": self._count, "bounds": self._limits}
        perturbation = np.concatenate(list(self._blocks(attack, queries, codes, settings, progress))) * self._unit
        distance = np.nan_to_num(np.linalg.norm(perturbation, ord=ORDERS[self._norm], axis=1), nan=np.inf)
        adversarial = queries * self._unit + np.nan_to_num(perturbation)
        return AttackResult(
            adversarial, np.isfinite(distance), np.zeros(len(queries), bool), distance, np.zeros(len(queries), np.int64)
        )

    def certified_error(
        self, X: ArrayLike, y: ArrayLike, radii: ArrayLike, *, progress: bool = False
    ) -> Float[np.ndarray, " radii"]:
        """Certified error at each of `radii`, eq. (3.39), as `Certificate.error_at` counts it.

        The radius is the exact one for one neighbour, which gives the error rate at 0, and the lower bound of (3.18)
        for more. That can be 0 for a row that is predicted rightly, so that the share at 0 may exceed the error rate.
        """
        limits = as_radii(radii)
        check_is_fitted(self)
        if self._count == 1:
            return self.exact(X, y, progress=progress).error_at(limits)
        lower = self.lower_bound(X, y, progress=progress)
        return Certificate(lower, np.full_like(lower, np.inf), np.zeros(len(lower), bool)).error_at(limits)

    def empirical_error(
        self,
        X: ArrayLike,
        y: ArrayLike,
        radii: ArrayLike,
        attack: str | NeighborAttack = "qp-greedy",
        *,
        progress: bool = False,
    ) -> Float[np.ndarray, " radii"]:
        """Share of rows that an attack breaks within each of `radii`, eq. (3.40); at 0, the error rate."""
        limits = as_radii(radii)
        return (self.attack(X, y, attack, progress=progress).distance <= limits[:, None]).mean(axis=1)

    def _check_classes(self, codes: np.ndarray) -> None:
        if len(self.classes_) < 2:
            raise InvalidInput(
                f"y must hold at least two classes, got one class, {self.classes_.tolist()[0]!r}: nothing could change."
            )
        neighbors = checks.integer("n_neighbors", self.n_neighbors, at_least=1)
        if neighbors % 2 == 0:
            raise InvalidInput(f"n_neighbors must be odd, got {neighbors}: an even vote can tie. Try {neighbors + 1}.")
        smallest = int(np.bincount(codes).min())
        if neighbors > max(smallest, 1):
            rare = self.classes_.tolist()[np.bincount(codes).argmin()]
            raise InvalidInput(
                f"n_neighbors must be at most the rows of the smallest class, {smallest} of {rare!r}, got {neighbors}. "
                "Lower n_neighbors or leave the class out."
            )

    def _check_inside(self, name: str, values: np.ndarray) -> None:
        if self._bounds is None:
            return
        (low, high), least, most = self._bounds, float(values.min()), float(values.max())
        if least < low or most > high:
            raise InvalidInput(
                f"{name} must lie within bounds=({low:.9g}, {high:.9g}), got values from {least:.9g} to {most:.9g}. "
                "Scale the data, or widen the bounds."
            )

    @property
    def _limits(self) -> Bounds | None:
        """The bounds in the unit of the geometry."""
        return None if self._bounds is None else (self._bounds[0] / self._unit, self._bounds[1] / self._unit)

    def _scaled(self, queries: Float[np.ndarray, "m features"]) -> Float[np.ndarray, "m features"]:
        """Queries in the unit of the geometry, in which single precision must be able to tell training rows apart."""
        queries = queries / self._unit
        if np.abs(queries).max(initial=0.0) > _FAR:
            raise InvalidInput(
                f"X must lie within {_FAR * self._unit:.3g} in every feature, given the spread of the training rows, "
                f"got {np.abs(queries).max() * self._unit:.3g}. Scale the data alike for fit and here."
            )
        return queries

    def _examples(self, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        queries = self._queries(X)
        self._check_inside("X", queries)
        queries, labels = self._scaled(queries), np.asarray(y)
        if labels.shape != (len(queries),):
            raise InvalidInput(f"y must have shape ({len(queries)},), one label per row of X, got {labels.shape}.")
        if (labels.dtype.kind in "OUS") != (self.classes_.dtype.kind in "OUS"):
            raise InvalidInput(
                f"y must hold labels of the kind seen by fit ({self.classes_.dtype}), got {labels.dtype}. Convert them."
            )
        if labels.dtype.kind == "f" and np.isnan(labels).any():
            raise InvalidInput("y must hold labels, got NaN. Leave those rows out.")
        try:
            place = np.clip(np.searchsorted(self.classes_, labels), 0, len(self.classes_) - 1)
        except TypeError as error:
            raise InvalidInput(
                f"y must hold labels of the kind seen by fit, as {self.classes_.tolist()[0]!r}."
            ) from error
        return queries, np.where(self.classes_[place] == labels, place, -1).astype(np.int64)

    def _queries(self, X: Any) -> Float[np.ndarray, "m features"]:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False, order="C")  # pyright: ignore[reportReturnType]

    def _only_l2(self, what: str) -> None:
        check_is_fitted(self)
        if self._norm != "l2":
            raise InvalidInput(f"{what} needs norm='l2', got {self._norm!r}. Use attack, or exact with n_neighbors=1.")

    def _blocks(
        self,
        solve: Callable[..., Any],
        queries: np.ndarray,
        codes: np.ndarray,
        options: dict[str, Any],
        progress: bool,
    ) -> Iterable[Any]:
        """Answers of `solve` to blocks of queries, in order."""
        starts = range(0, len(queries), _BLOCK)
        blocks = (slice(start, start + _BLOCK) for start in starts)
        geometry = self._geometry.prepared()
        tasks = (delayed(solve)(geometry, queries[rows], codes[rows], **options) for rows in blocks)
        answers = Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks)
        return tracked(answers, "blocks of rows", len(starts), show=progress)


def _power_of_two(size: float) -> float:
    """The power of two nearest below a size: to divide by it rounds nothing."""
    return float(2.0 ** np.floor(np.log2(size))) if size > 0 else 1.0


def _unit_of(rows: np.ndarray) -> float:
    """A power of two in which the spread of the rows is neither so large nor so small that its square overflows."""
    spread = float(np.max(rows.max(axis=0).astype(np.float64) / 2 - rows.min(axis=0).astype(np.float64) / 2))
    unit = _power_of_two(spread)  # of half the spread: the whole may be beyond the largest number
    return 1.0 if 2.0**-16 <= unit <= 2.0**16 else unit


def _say_what_failed(found: Certificate) -> None:
    failed = np.flatnonzero(~found.exact)
    if len(failed):
        warn(
            f"the programmes of rows {', '.join(map(str, failed))} of X could not be solved: these rows keep valid "
            "bounds and are not exact."
        )
