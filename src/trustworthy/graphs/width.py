"""The width of the Gaussian graph, chosen by validation."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.graphs.affinity import GaussianGraphs, Rows, row_sums
from trustworthy.graphs.labels import Labels
from trustworthy.graphs.solvers import harmonic_operator

_FLAT = 1e-290  # mean squared distance of two rows whose inverse, times 2⁹, is still a number


def choose_gamma(
    graphs: GaussianGraphs, labels: Labels, candidates: Float[np.ndarray, " candidates"], solver: str
) -> tuple[float, Float[np.ndarray, " candidates"]]:
    """The candidate whose graph predicts each label best from all others, and the errors (candidates,).

    Error: share of wrong classes, ties by the squared error, or the root mean squared error. A candidate at which some
    row is joined to no label is taken only where all are such, and one that the solver is not sure of, whose error is
    NaN, only after those. One solve with all labels as right sides a candidate gives all leave-one-out predictions.
    """
    found = []
    for gamma in candidates:
        with warnings.catch_warnings(record=True) as doubts:  # the fit with the one that is taken repeats its own
            warnings.simplefilter("always")
            lost, *errors = _left_out(graphs, labels, gamma, solver)
        unsure = any(issubclass(doubt.category, TrustworthyWarning | ConvergenceWarning) for doubt in doubts)
        found.append((unsure, lost, *errors))
    best = min(range(len(found)), key=found.__getitem__)
    if not np.isfinite(found[best][2]):
        surer = 'use solver="elimination", ' if found[best][0] else ""
        wider = "" if graphs.n_neighbors is None else "raise n_neighbors, "
        raise InvalidInput(
            f"gamma could not be chosen: at each of {candidates.tolist()} some label is joined to no other. Pass gamma "
            f"as a number, {surer}{wider}label more rows, or pass smaller values as gammas."
        )
    return float(candidates[best]), np.array([np.nan if unsure else error for unsure, _, error, _ in found])


def default_gammas(X: Rows) -> Float[np.ndarray, " candidates"]:
    """2⁰ to 2⁹ in the unit 1 / mean squared distance of two rows."""
    if not sparse.issparse(X):
        X = X - X.mean(axis=0)  # an offset that all rows share would cost digits
    mean = np.asarray(X.mean(axis=0)).ravel()
    squares = X.multiply(X).sum() if sparse.issparse(X) else np.einsum("ij,ij->", X, X)
    spread = 2.0 * (float(squares) / X.shape[0] - float(mean @ mean))
    if not spread > _FLAT:
        raise InvalidInput(
            "X must have rows that differ for gamma to be chosen: all are the same, or too near for their squared "
            "distances. Scale X up, or pass gamma as a number."
        )
    return 2.0 ** np.arange(10) / spread


def checked_gammas(gammas: ArrayLike | None, X: Rows) -> Float[np.ndarray, " candidates"]:
    """Candidates given by the user, or the default ones."""
    if gammas is None:
        return default_gammas(X)
    given = np.atleast_1d(np.asarray(gammas)).tolist()
    if not given:
        raise InvalidInput("gammas must hold at least one candidate, got none. Pass None for the default ones.")
    return np.array([checks.real("gammas", gamma, above=0.0) for gamma in given])


def _left_out(graphs: GaussianGraphs, labels: Labels, gamma: float, solver: str) -> tuple[bool, float, float]:
    """Whether rows are lost at one gamma, and leave-one-out errors; infinite where a label is joined to no other."""
    ties, lost = reduced(graphs, gamma, solver)
    sums = row_sums(ties)[:, None]
    if not (sums > 0.0).all():
        return True, np.inf, np.inf
    found, values = ties @ labels.values / sums, labels.values
    squared = float(np.sqrt(np.mean((found - values) ** 2)))
    if labels.task == "regression":
        return lost, squared, squared
    return lost, float(np.mean(found.argmax(axis=1) != values.argmax(axis=1))), squared


def reduced(graphs: GaussianGraphs, gamma: float, solver: str) -> tuple[Float[np.ndarray, "labelled labelled"], bool]:
    """Affinities between labelled rows once the unlabelled ones are eliminated, S_ll + S_lu K, with a diagonal of 0.

    The harmonic value of a row that hides its label is the mean of the others by them. Second: whether some unlabelled
    row is joined to no label.
    """
    ties, lost = graphs.labelled(gamma), False
    if not graphs.known.all():
        graph = graphs.split(gamma)
        lost = not graph.reached.all()
        graph = graph.part(graph.reached)
        ties = ties + np.asarray(graph.across.T @ harmonic_operator(graph, solver))
    np.fill_diagonal(ties, 0.0)
    return ties, lost
