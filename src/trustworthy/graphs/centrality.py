"""How central the nodes of a graph are: the baselines of Figure 1.2 perturb the most central labelled ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse
from sklearn.utils import gen_batches

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import Weights, row_sums

_NUMBERS = 1 << 22  # affinities looked at a time
_DAMPING, _STEPS = 0.85, 200  # after so many steps the error is below 1e-13
_SETTLED = 1e-12  # sum of the changes of a step at which the walk is taken to be settled


def degree(graph: Weights) -> Float[np.ndarray, " n"]:
    """Sum of the affinities of each node (n,) of a symmetric graph (n, n), dense or sparse."""
    return row_sums(_checked(graph))


def pagerank(graph: Weights) -> Float[np.ndarray, " n"]:
    """Share of its time (n,) that a random walk spends at each node; the shares sum to 1.

    With a probability of 0.85 the walk follows an edge, drawn in proportion to its affinity, else it jumps to any
    node; from a node without edges it always jumps. Power iteration, whose error falls by that factor a step.

    graph : (n, n) affinities, symmetric and non-negative, dense or sparse.

    Raises InvalidInput. Cost: at most 200 products of the graph with a vector.
    """
    weights = _checked(graph)
    sums = row_sums(weights)
    inverse = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0.0)
    shares = np.full(len(sums), 1.0 / len(sums))
    for _ in range(_STEPS):
        before = shares
        shares = _DAMPING * (weights.T @ (before * inverse))
        shares += (1.0 - shares.sum()) / len(shares)  # all that does not follow an edge jumps
        if np.abs(shares - before).sum() <= _SETTLED:
            break
    return shares


def _checked(graph: Weights) -> Any:
    """A dense array or a CSR matrix in double precision, finite, square, non-negative and symmetric."""
    weights: Any = graph.tocsr().astype(np.float64) if sparse.issparse(graph) else np.asarray(graph, np.float64)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.shape[0]:
        raise InvalidInput(f"graph must be a square matrix of affinities (n, n), got shape {weights.shape}.")
    entries = weights.data if sparse.issparse(weights) else weights
    if not (np.isfinite(entries).all() and (entries >= 0.0).all()):
        raise InvalidInput("graph must hold finite affinities >= 0, got NaN, inf or a negative number.")
    apart = _asymmetry(weights)
    if apart > 1e-9 * entries.max(initial=0.0):
        raise InvalidInput(
            f"graph must be symmetric, got affinities that differ by up to {apart:.3g} from one way to the other. Pass "
            "(graph + graph.T) / 2 if that is what is meant."
        )
    return weights


def _asymmetry(weights: Any) -> float:
    """Largest difference between an affinity and the one of the way back."""
    if sparse.issparse(weights):
        return float(abs(weights - weights.T).max())
    rows = gen_batches(len(weights), max(_NUMBERS // len(weights), 1))  # a transposed copy would take as much again
    return max(float(np.abs(weights[part] - weights[:, part].T).max()) for part in rows)
