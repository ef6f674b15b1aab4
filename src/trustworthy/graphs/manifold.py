"""Manifold regularisation: least squares with a ridge and a penalty of what varies over the graph, linear or kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches
from sklearn.utils.metaestimators import available_if

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import GaussianGraphs, gaussian, gaussian_graph
from trustworthy.graphs.labels import Labels
from trustworthy.graphs.laplacian_least_squares import kernel_weights, linear_weights
from trustworthy.graphs.learner import NUMBERS, GraphLearner, classifies

_KERNELS = dict.fromkeys(["linear", "rbf"])


@dataclass(kw_only=True, eq=False, repr=False)
class ManifoldRegularization(GraphLearner):
    """Laplacian-regularised least squares (LapRLS): a function of the features that is smooth over all rows.

    It minimises, over linear functions or those of a Gaussian kernel, with labels y_l, affinities
    S_ij = exp(-gamma |x_i - x_j|²) of labelled and unlabelled rows and L = D - S,

        |f_l - y_l|² + ridge |f|² + smoothness fᵀ L f,    fᵀ L f = ½ Σ S_ij (f_i - f_j)².

    The other learner of graph-based semi-supervised learning that chapter 1 names (Belkin, Niyogi and Sindhwani,
    2006). Of classes, one function each is fitted to +1 for the class and -1 for the others, and the largest wins.

    Parameters
    ----------
    kernel : "linear", with |f|² = |w|², or "rbf", with the norm of the kernel exp(-gamma |x - z|²).
    gamma : width of the graph and of the kernel, > 0; "scale" for 1 / (features * variance of X).
    ridge : > 0.
    smoothness : >= 0; 0 for ridge regression on the labelled rows. The sum that it weighs grows with the square of the
        rows of a dense graph, and with the rows of a sparse one.
    n_neighbors : None for the dense graph, else join only rows of which one is among so many nearest of the other.
    task : "classification", "regression", or "auto": regression where y holds floating numbers with NaN or fractions.
    fit_intercept : add a constant to f, which nothing penalises.

    Attributes
    ----------
    coef_ : (functions, features) of the linear kernel; one function in regression and of two classes.
    dual_coef_ : (n, functions) weights of the kernels at the rows of `fit`, with "rbf".
    intercept_ : (functions,).
    classes_ : the classes, sorted (classification only).
    gamma_ : the width in use.
    n_features_in_ : features seen by `fit`.

    Cost: O(n² d) for the dense graph and 8 n² bytes; about 3 n³ operations and four times the memory with "rbf".
    """

    kernel: str = "linear"
    gamma: float | str = "scale"
    ridge: float = 1.0
    smoothness: float = 0.01
    n_neighbors: int | None = None
    task: str = "auto"
    fit_intercept: bool = True

    @np.errstate(under="ignore")  # affinities of rows far apart are 0 or next to it
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows X (n, features) with labels y (n,), of which a missing one is -1, or NaN if floating."""
        checks.choice("kernel", self.kernel, _KERNELS)
        ridge = checks.real("ridge", self.ridge, above=0.0)
        smoothness = checks.real("smoothness", self.smoothness, at_least=0.0)
        if not isinstance(self.fit_intercept, bool | np.bool_):
            raise InvalidInput(f"fit_intercept must be True or False, got {self.fit_intercept!r}.")
        rows, labels = self._told(X, y)
        targets = _targets(labels)
        self.gamma_ = _width(self.gamma, rows)
        graph = GaussianGraphs(rows, labels.known, self.n_neighbors).whole(self.gamma_) if smoothness > 0.0 else None
        means = targets.mean(axis=0) if self.fit_intercept else np.zeros(targets.shape[1])
        if self.kernel == "linear":
            offsets = rows[labels.known].mean(axis=0) if self.fit_intercept else np.zeros(rows.shape[1])
            weights = linear_weights(rows - offsets, labels.known, targets - means, graph, ridge, smoothness)
            self.coef_ = np.ascontiguousarray(weights.T)
            self.intercept_ = means - offsets @ weights
        else:
            kernel = gaussian_graph(rows, self.gamma_)
            np.fill_diagonal(kernel, 1.0)
            self.dual_coef_ = kernel_weights(
                kernel, labels.known, targets, graph, ridge, smoothness, centred=self.fit_intercept
            )
            reached = kernel[labels.known] @ self.dual_coef_
            self.intercept_ = means - reached.mean(axis=0) if self.fit_intercept else means
            self.X_ = rows
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Values (m,) of the rows X (m, features), or the class whose function is largest."""
        values = self._values(X)
        if not hasattr(self, "classes_"):
            return values[:, 0]
        return self.classes_[(values[:, 0] > 0.0).astype(np.intp) if values.shape[1] == 1 else values.argmax(axis=1)]

    @available_if(classifies)
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Function of the second of two classes (m,), or those of all classes (m, classes), at rows X (m, features)."""
        values = self._values(X)
        return values[:, 0] if values.shape[1] == 1 else values

    @np.errstate(under="ignore")
    def _values(self, X: ArrayLike) -> Float[np.ndarray, "m functions"]:
        rows = self._rows(X)
        if not hasattr(self, "dual_coef_"):
            return rows @ self.coef_.T + self.intercept_
        parts = gen_batches(len(rows), max(NUMBERS // len(self.X_), 1))
        return np.concatenate([gaussian(rows[part], self.X_, self.gamma_) @ self.dual_coef_ for part in parts]) + (
            self.intercept_
        )


def _width(gamma: float | str, rows: Float[np.ndarray, "n d"]) -> float:
    if not isinstance(gamma, str):
        return checks.real("gamma", gamma, above=0.0)
    checks.choice("gamma", gamma, {"scale": None})
    variance = float(rows.var())
    return 1.0 / (rows.shape[1] * variance) if variance > 0.0 else 1.0


def _targets(labels: Labels) -> Float[np.ndarray, "known functions"]:
    """What the functions are fitted to: the values, or +1 and -1 for each class, for the second alone of two."""
    if labels.classes is None:
        return labels.values
    codes = 2.0 * labels.values - 1.0
    return codes[:, 1:] if len(labels.classes) == 2 else codes
