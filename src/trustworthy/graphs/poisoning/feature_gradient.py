"""Exact gradients of a loss of the predictions with respect to the features of the labelled rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import Graph, gaussian
from trustworthy.graphs.solvers import factored

Loss = Callable[[Float[np.ndarray, " n_u"]], tuple[float, Float[np.ndarray, " n_u"]]]
"""Scores (n_u,) to the loss and its slope (n_u,) in each score."""


@dataclass(frozen=True)
class Evaluation:
    """The loss at some features.

    value : the loss.
    gradient : (n_l, d) its slope in the labelled rows.
    scores : (n_u,) predictions f that it is a loss of.
    """

    value: float
    gradient: Float[np.ndarray, "n_l d"]
    scores: Float[np.ndarray, " n_u"]


def squared(aim: Float[np.ndarray, " n_u"]) -> Loss:
    """½ |f - aim|², the loss of a regression in (1.2)."""

    def loss(f: Float[np.ndarray, " n_u"]) -> tuple[float, Float[np.ndarray, " n_u"]]:
        gap = f - aim
        return float(gap @ gap) / 2, gap

    return loss


def soft_sign(aim: Float[np.ndarray, " n_u"], sharpness: float) -> Loss:
    """½ |tanh(T f) - aim|² with T = `sharpness` > 0, which is (1.2) of a classification with a smooth sign."""

    def loss(f: Float[np.ndarray, " n_u"]) -> tuple[float, Float[np.ndarray, " n_u"]]:
        soft = np.tanh(sharpness * f)
        gap = soft - aim
        return float(gap @ gap) / 2, sharpness * gap * (1.0 - soft**2)

    return loss


def evaluate(
    x_labelled: Float[np.ndarray, "n_l d"],
    x_unlabelled: Float[np.ndarray, "n_u d"],
    s_uu: Float[np.ndarray, "n_u n_u"],
    y_labelled: Float[np.ndarray, " n_l"],
    gamma: float,
    loss: Loss,
) -> Evaluation:
    """Loss, gradient and scores at labelled rows, by one factor and one adjoint solve.

    S_ul moves with the labelled rows and D_uu with it; S_uu stays. With A = D_uu - S_uu and the adjoint solution
    l = A⁻¹ dloss / df,

        dloss / dS_ij = l_i (y_j - f_i)    and    dS_ij / dx_j = -2 gamma S_ij (x_j - x_i).

    s_uu : affinities among unlabelled rows, with a diagonal of 0.
    gamma : width of the graph, > 0.

    Raises InvalidInput where the graph falls apart. Cost: one Cholesky factor, n_u³ / 3, and O(n_u n_l d).
    """
    centre = x_labelled.mean(axis=0)  # differences of rows are meant: an offset that all share costs no digits
    x_labelled, x_unlabelled = x_labelled - centre, x_unlabelled - centre
    s_ul = gaussian(x_unlabelled, x_labelled, gamma)
    graph = Graph(s_uu, s_ul)
    if not graph.reached.all():
        raise InvalidInput(
            "gamma is so large that the graph falls apart: some unlabelled rows are joined to no label. Lower gamma, "
            "scale the features down, or leave those rows out."
        )
    solve = factored(graph)
    scores = solve((s_ul @ y_labelled)[:, None])[:, 0]
    value, slope = loss(scores)
    adjoint = solve(slope[:, None])[:, 0]
    pull = adjoint[:, None] * (y_labelled - scores[:, None]) * s_ul  # (n_u, n_l): dloss / dS times S
    gradient = pull.sum(axis=0)[:, None] * x_labelled - pull.T @ x_unlabelled
    return Evaluation(value, -2.0 * gamma * gradient, scores)
