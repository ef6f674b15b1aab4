"""Label propagation with hard clamping, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from trustworthy.core import checks
from trustworthy.core.progress import bar
from trustworthy.graphs import solvers
from trustworthy.graphs.affinity import GaussianGraphs, Rows, decayed, squared_distances
from trustworthy.graphs.labels import as_labels
from trustworthy.graphs.learner import NUMBERS, GraphLearner, classifies
from trustworthy.graphs.width import checked_gammas, choose_gamma


@dataclass(kw_only=True, eq=False, repr=False)
class LabelPropagation(GraphLearner):
    """Values of unlabelled rows that vary as little as can be over a Gaussian graph, eq. (1.1), known labels clamped.

    The minimum of Σ S_ij (f_i - f_j)² with S_ij = exp(-gamma |x_i - x_j|²) is f_u = (D_uu - S_uu)⁻¹ S_ul y_l: the
    values of a regression, or the shares of each class.

    Parameters
    ----------
    gamma : width of the graph, > 0; "cv" takes the best of `gammas` by leaving each label out in turn, or a fifth of
        them at a time in sparse graphs of more than 4,000 rows. With one label a class nothing can be left out, and
        the largest gamma is taken that joins every row to a label.
    task : "classification", "regression", or "auto": regression where y holds floating numbers with NaN or fractions.
    solver : "auto", "cholesky", "cg", "iteration" or "elimination"; see `trustworthy.graphs.solvers.harmonic`.
    n_neighbors : None for the dense graph, else join only rows of which one is among so many nearest of the other.
    gammas : candidates for "cv"; None for 2⁰ to 2⁹ in the unit 1 / mean squared distance of two rows.
    progress : show on standard error how many candidates have been tried.

    Attributes
    ----------
    transduction_ : (n,) labels of all rows of `fit`, the given ones kept. A row that no label reaches has NaN, or the
        mark that it came with where labels are no floating numbers, and `fit` warns.
    label_distributions_ : (n, classes) shares of the classes (classification only).
    classes_ : the classes, sorted (classification only).
    gamma_ : the width in use.
    gammas_, gamma_errors_ : (candidates,) widths tried and the errors at labels left out, with gamma="cv"; NaN where
        the solver was not sure of its answer.
    n_features_in_ : features seen by `fit`.

    Cost: n_u³ / 3 operations and 16 n_u n bytes for the dense graph; sparse graphs n_neighbors n a step of "cg".
    """

    _sparse: ClassVar = True
    gamma: float | str = "cv"
    task: str = "auto"
    solver: str = "auto"
    n_neighbors: int | None = None
    gammas: ArrayLike | None = None
    progress: bool = False

    @np.errstate(under="ignore")  # affinities of rows far apart are 0 or next to it
    def fit(self, X: Rows, y: ArrayLike) -> Self:
        """Spread labels y (n,) over rows X (n, features), dense or CSR; a missing one is -1, or NaN if floating."""
        checks.choice("solver", self.solver, solvers.SOLVERS)
        rows, labels = self._told(X, y)
        self._labels, self._graphs = labels, GaussianGraphs(rows, labels.known, self.n_neighbors)
        if isinstance(self.gamma, str):
            checks.choice("gamma", self.gamma, {"cv": None})
            self.gammas_ = checked_gammas(self.gammas, rows)
            count = len(self.gammas_)
            with bar("widths", count, show=self.progress) as display:
                tell = lambda share: display.at(round(share * count))  # noqa: E731
                self.gamma_, self.gamma_errors_ = choose_gamma(self._graphs, labels, self.gammas_, self.solver, tell)
        else:
            self.gamma_ = checks.real("gamma", self.gamma, above=0.0)
        self._spread()
        self._keep(as_labels(y))
        return self

    def _spread(self) -> None:
        labels = self._labels
        self._values = np.empty((len(labels.known), labels.values.shape[1]))
        self._values[labels.known] = labels.values
        if labels.known.all():
            return
        graph = self._graphs.split(self.gamma_)
        self._values[~labels.known] = solvers.harmonic(graph, labels.values, self.solver)
        solvers.say_unreached(graph.reached, np.flatnonzero(~labels.known), self.gamma_)

    def _keep(self, y: np.ndarray) -> None:
        """Set what users read."""
        labels, reached = self._labels, ~np.isnan(self._values[:, 0])
        if labels.classes is None:
            self.transduction_ = self._values[:, 0].copy()
            return
        self.label_distributions_ = self._values
        self.transduction_ = y.copy()
        filled = reached & ~labels.known
        self.transduction_[filled] = labels.classes[self._values[filled].argmax(axis=1)]
        if y.dtype.kind == "f":
            self.transduction_[~reached] = np.nan

    @cached_property
    @np.errstate(under="ignore")
    def operator_(self) -> Float[np.ndarray, "unlabelled labelled"]:
        """K = (D_uu - S_uu)⁻¹ S_ul, which the known labels are multiplied by; NaN in rows that no label reaches.

        Worked out when first asked for: n_u³ / 3 + 2 n_u² n_l operations for the dense graph.
        """
        check_is_fitted(self)
        if self._labels.known.all():
            return np.empty((0, len(self._labels.known)))
        return solvers.harmonic_operator(self._graphs.split(self.gamma_), self.solver)

    def predict(self, X: Rows) -> np.ndarray:
        """Labels (m,) of new rows X (m, features): means over all rows of `fit` by affinity, or their largest share."""
        values = self._extended(X)
        classes = self._labels.classes
        return values[:, 0] if classes is None else classes[values.argmax(axis=1)]

    @available_if(classifies)
    def predict_proba(self, X: Rows) -> Float[np.ndarray, "m classes"]:
        """Shares (m, classes) of the classes at new rows X (m, features)."""
        return self._extended(X)

    @np.errstate(under="ignore")
    def _extended(self, X: Rows) -> Float[np.ndarray, "m columns"]:
        """Means of the values of the rows of `fit` by affinity; the largest affinity is 1, so that none underflows."""
        rows = self._rows(X)
        reached = ~np.isnan(self._values[:, 0])
        points, values = self._graphs.X[reached], self._values[reached]
        if self._graphs.n_neighbors is not None:
            near = NearestNeighbors(n_neighbors=min(self._graphs.n_neighbors, len(values))).fit(points)
            distances, which = near.kneighbors(rows)
            return np.einsum("mk,mkc->mc", _means(distances**2, self.gamma_), values[which])
        means = np.empty((rows.shape[0], values.shape[1]))
        for part in gen_batches(rows.shape[0], max(NUMBERS // len(values), 1)):
            means[part] = _means(squared_distances(rows[part], points), self.gamma_) @ values
        return means


def _means(distances: Float[np.ndarray, "m n"], gamma: float) -> Float[np.ndarray, "m n"]:
    """Weights that sum to 1 a row, from squared distances."""
    distances -= distances.min(axis=1, keepdims=True)
    weights = decayed(distances, gamma)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
