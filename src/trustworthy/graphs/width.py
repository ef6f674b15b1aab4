"""The width of the Gaussian graph, chosen by predicting known labels from the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.graphs.affinity import GaussianGraphs, Rows, row_sums
from trustworthy.graphs.labels import Labels
from trustworthy.graphs.solvers import SMALL, harmonic_operator, rough_left_out

_FLAT = 1e-290  # mean squared distance of two rows whose inverse, times 2⁹, is still a number
_FOLDS = 5  # parts of the labels, each predicted from the others, where leaving out one by one takes too long


@np.errstate(under="ignore")
def choose_gamma(
    graphs: GaussianGraphs,
    labels: Labels,
    candidates: Float[np.ndarray, " candidates"],
    solver: str,
    advance: Callable[[float], None] = lambda share: None,
) -> tuple[float, Float[np.ndarray, " candidates"]]:
    """The candidate whose graph predicts each label best from others, and the errors (candidates,).

    Error: share of wrong classes, ties by the squared error, or the root mean squared error. A candidate at which some
    row is joined to no label is taken only where all are such, and one that the solver is not sure of, whose error is
    NaN, only after those. Where each class has one label, every error is 1 and the narrowest graph of these is taken.

    Each label is left out in turn: one solve with all labels as right sides a candidate gives all predictions. Of
    sparse graphs with more than 4,000 rows a fifth of the labels at a time is left out, with `rough_left_out`.

    advance : called with the share of the candidates that is done, from 0 to 1.
    """
    single = labels.classes is not None and labels.values.sum(axis=0).max() < 2.0
    many = graphs.n_neighbors is not None and len(graphs.known) > SMALL
    found = []
    judge = _folded if many else partial(_left_out, solver=solver)
    for done, gamma in enumerate(candidates, start=1):
        unsure, lost, *errors = judge(graphs, labels, gamma)
        found.append((unsure, lost, 1.0, -gamma) if single else (unsure, lost > 0, *errors))
        advance(done / len(candidates))
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


def _left_out(graphs: GaussianGraphs, labels: Labels, gamma: float, solver: str) -> tuple[bool, int, float, float]:
    """Whether the solver is not sure at one gamma, how many rows are lost, and leave-one-out errors.

    The harmonic value of a row that hides its label is the mean of the others by S_ll + S_lu K, their affinities once
    the unlabelled rows are eliminated. The errors are infinite where a label is joined to no other.
    """
    ties, lost, unsure = graphs.labelled(gamma), 0, False  # (labelled, labelled)
    if not graphs.known.all():
        graph = graphs.split(gamma)
        lost = int(np.count_nonzero(~graph.reached))
        graph = graph.part(graph.reached)
        with warnings.catch_warnings(record=True) as doubts:  # the fit with the one that is taken repeats its own
            warnings.simplefilter("always")
            ties = ties + np.asarray(graph.across.T @ harmonic_operator(graph, solver))
        unsure = any(issubclass(doubt.category, TrustworthyWarning | ConvergenceWarning) for doubt in doubts)
    np.fill_diagonal(ties, 0.0)
    sums = row_sums(ties)[:, None]
    if not (sums > 0.0).all():
        return unsure, max(lost, 1), np.inf, np.inf
    return unsure, lost, *_errors(labels, ties @ labels.values / sums)


def _folded(graphs: GaussianGraphs, labels: Labels, gamma: float) -> tuple[bool, int, float, float]:
    """The same of fifths of the labels left out together; a label that is joined to no other counts as wrong.

    Labels of one class, or that lie near in value, are dealt out to different fifths: nothing is drawn.
    """
    weights, known = graphs.whole(gamma), np.flatnonzero(graphs.known)
    of_row = connected_components(weights, directed=False)[1]  # (n,)
    lost = int(np.count_nonzero(~np.isin(of_row, of_row[known])))
    if len(known) < 2:
        return False, lost, np.inf, np.inf
    fold = np.empty(len(known), np.int64)
    fold[np.lexsort(labels.values.T)] = np.arange(len(known)) % _FOLDS
    with warnings.catch_warnings():
        for doubt in (TrustworthyWarning, ConvergenceWarning):
            warnings.simplefilter("error", doubt)
        try:
            # One fold first: where few steps do not suffice for it, the others' are spared.
            values = rough_left_out(weights, of_row, known, labels.values, np.where(fold > 0, -1, 0))
            values[fold > 0] = rough_left_out(weights, of_row, known, labels.values, fold - 1)[fold > 0]
        except (TrustworthyWarning, ConvergenceWarning):
            return True, lost, 1.0, gamma  # of several such the widest graph
    return False, lost, *_errors(labels, values)


def _errors(labels: Labels, found: Float[np.ndarray, "labelled k"]) -> tuple[float, float]:
    """The error of predictions, and what decides between equals. NaN is as wrong as can be."""
    missing = np.isnan(found)
    squares = np.where(missing, np.ptp(labels.values, axis=0) ** 2, (found - labels.values) ** 2)
    squared = float(np.sqrt(np.mean(squares)))
    if labels.task == "regression":
        return squared, squared
    wrong = missing[:, 0] | (found.argmax(axis=1) != labels.values.argmax(axis=1))
    return float(np.mean(wrong)), squared
