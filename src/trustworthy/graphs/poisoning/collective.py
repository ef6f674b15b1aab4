"""How many nodes one set of flips can break at most: a relaxed covering problem, bounded by its dual.

Node i breaks under the flips F where the sum of effect_ij over F reaches its margin. With f the indicator of F and
w_ij = min(effect_ij, margin_i) / margin_i, a broken node has (W f)_i >= 1, so the nodes broken by c flips are at most

    max over f of  sum_i min(1, (W f)_i)   with 0 <= f <= 1, sum f <= c,

a concave maximum. Any multipliers u in [0, 1] bound it: min(1, a) <= (1 - u) + u a, hence

    sum_i (1 - u_i)  +  the sum of the c largest entries of Wᵀu.

Three remarks sharpen it. Nodes that need more than c flips are left out. Where flips of one label cannot break a node
even together with the c - 1 worst others, w_ij is 0. And labels that hurt separate groups of nodes (of binary labels,
those of one class and those of the other) share the budget: every split of it is bounded group by group.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from trustworthy.graphs.poisoning.coverage import covered

_EPS = float(np.finfo(np.float64).eps)
_DENSE = 32  # budgets up to here are bounded one by one, larger ones in steps that grow with them


def most_broken(
    margin: Float[np.ndarray, " n"],
    effect: Float[np.ndarray, "n n_l"],
    needed: Int[np.ndarray, " n"],
    largest: int,
) -> Int[np.ndarray, " budgets"]:
    """Upper bounds on the number of nodes that one set of at most c flips breaks, for c = 0 to `largest`.

    margin : positive, and less all rounding (`certificate.safe_margin`).
    needed : flips that break each node alone, 1 to `largest`.

    Cost: see `coverage.covered`, once per group and budget.
    """
    most = np.zeros(largest + 1, np.int64)
    for rows, columns in _groups(margin, effect):
        alone = _group_bounds(margin[rows], effect[np.ix_(rows, columns)], needed[rows], largest)
        most = _shared(most, alone)
    return most


def _groups(
    margin: Float[np.ndarray, " n"], effect: Float[np.ndarray, "n n_l"]
) -> list[tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " columns"]]]:
    """Rows and columns of effects that positive entries connect; entries that drown in rounding are none."""
    hurts: Bool[np.ndarray, "n n_l"] = effect > _EPS * (np.abs(margin) + np.abs(effect).sum(axis=1))[:, None]
    # Rows that hurt by the same labels belong together: of a connected graph only two patterns are left.
    packed, pattern = np.unique(np.packbits(hurts, axis=1), axis=0, return_inverse=True)
    rows, columns = np.nonzero(np.unpackbits(packed, axis=1, count=effect.shape[1]))
    nodes = len(packed) + effect.shape[1]
    pairs = csr_array((np.ones(len(rows), np.int8), (rows, len(packed) + columns)), shape=(nodes, nodes))
    count, group = connected_components(pairs, directed=False)
    of_row, of_column = group[: len(packed)][pattern.reshape(-1)], group[len(packed) :]
    members = [(np.flatnonzero(of_row == which), np.flatnonzero(of_column == which)) for which in range(count)]
    return [(rows, columns) for rows, columns in members if len(rows) and len(columns)]


def _group_bounds(
    margin: Float[np.ndarray, " n"], effect: Float[np.ndarray, "n columns"], needed: Int[np.ndarray, " n"], largest: int
) -> Int[np.ndarray, " budgets"]:
    """Bounds of one group for budgets 0 to `largest`; a budget between two levels gets the bound of the upper one."""
    effect = np.maximum(effect, 0.0)
    useful = min(largest, effect.shape[1])
    worst = np.cumsum(np.sort(effect, axis=1)[:, ::-1][:, :useful], axis=1)  # (n, useful): of the k + 1 worst flips
    levels = _levels(useful)
    bounds = np.zeros(len(levels), np.int64)
    for place, flips in enumerate(levels[1:], start=1):
        within = needed <= flips
        others = worst[within, flips - 2] if flips > 1 else 0.0
        open_, taken = margin[within], effect[within]
        weights = np.minimum(taken, open_[:, None]) / open_[:, None]  # W, in [0, 1]
        weights[taken < (open_ - others)[:, None]] = 0.0
        bounds[place] = min(covered(weights, flips), np.count_nonzero(within))
    bounds = np.minimum.accumulate(bounds[::-1])[::-1]  # fewer flips break no more
    return bounds[np.searchsorted(levels, np.minimum(np.arange(largest + 1), useful))]


def _levels(useful: int) -> list[int]:
    """0, 1, 2, ... and then steps of a sixteenth, up to the last flip that matters."""
    levels = list(range(min(useful, _DENSE) + 1))
    while levels[-1] < useful:
        levels.append(min(useful, levels[-1] + max(1, levels[-1] // 16)))
    return levels


def _shared(first: Int[np.ndarray, " budgets"], second: Int[np.ndarray, " budgets"]) -> Int[np.ndarray, " budgets"]:
    """The largest sum over all splits of each budget between two groups."""
    return np.array([(first[: flips + 1] + second[flips::-1]).max() for flips in range(len(first))])
