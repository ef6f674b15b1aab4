"""A bound on the relaxed covering problem by a primal-dual method with restarts: products with W, no LP solver.

`collective` calls `covered` with W (nodes, labels) and a budget; a whole number of nodes comes out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_EVERY = 10  # steps between two looks at the bounds
_PATIENCE = 100  # steps after which a run that does not converge is restarted anyway
_LEAST = 1e-9  # column sum beside the largest one from which steps grow no further
_SLACK = 1e-6  # added before rounding down; the sums of a bound are wrong by 1e-9 of it at the very most


def covered(weights: Float[np.ndarray, "n columns"], budget: int, *, steps: int = 300, gap: float = 1e-3) -> int:
    """Whole-number upper bound on max sum_i min(1, (W f)_i) over 0 <= f <= 1, sum f <= `budget`.

    The saddle point of sum_i (1 - u_i) + uᵀW f in u in [0, 1] and f is approached by the primal-dual hybrid gradient
    method with diagonal steps (Pock and Chambolle, 2011) and restarts at averages (Applegate and others, 2021). Every
    u on the way proves a bound, so stopping early costs tightness alone. For a budget of 1 and weights in {0, 1} it
    is exact without a step.

    weights : W, in [0, 1].
    steps : at most; two products with W each.
    gap : relative distance to the relaxed optimum at which it stops, unless the whole number is settled before.
    """
    weights = weights[:, weights.any(axis=0)]
    if not weights.size or weights.shape[1] <= budget:
        return _whole(np.minimum(1.0, weights.sum(axis=1)).sum())
    search = _Search(weights, budget)
    best, reached = search.bounds(search.at)
    for step in range(1, steps + 1):
        if _whole(best) <= reached or best - reached <= gap * best:
            break
        search.advance()
        if step % _EVERY == 0:
            upper, lower = search.look()
            best, reached = min(best, upper), max(reached, lower)
    return _whole(best)


class _Point(NamedTuple):
    """Flips f and multipliers u, with the products W f and Wᵀu."""

    f: Float[np.ndarray, " columns"]
    u: Float[np.ndarray, " n"]
    covers: Float[np.ndarray, " n"]
    gains: Float[np.ndarray, " columns"]


class _Search:
    """State of the primal-dual method: the iterate, the sum since the last restart, and the weight of the two steps."""

    def __init__(self, weights: Float[np.ndarray, "n columns"], budget: int) -> None:
        self.weights, self.budget = weights, budget
        columns = weights.sum(axis=0)
        self.column_sums = np.maximum(columns, _LEAST * columns.max())  # steps may be shorter than they need
        self.row_sums = np.maximum(weights.sum(axis=1), 1e-300)
        u = np.ones(len(weights))
        f = np.zeros(weights.shape[1])
        f[np.argsort(-self.column_sums)[:budget]] = 1.0
        self.balance = 1.0
        self._restart(_Point(f, u, weights @ f, weights.T @ u))

    def _restart(self, at: _Point) -> None:
        self.at = self.start = at
        self.total: list[Any] = [0.0] * len(at)
        self.count = 0
        upper, lower = self.bounds(at)
        self.gap = upper - lower

    def advance(self) -> None:
        """One step: ascent in f, descent in u against the extrapolated f."""
        at, lengths = self.at, self.balance / self.column_sums
        f = project_capped(at.f + lengths * at.gains, lengths, self.budget)
        covers = self.weights @ f
        u = np.clip(at.u - (2 * covers - at.covers - 1.0) / (self.balance * self.row_sums), 0.0, 1.0)
        self.at = _Point(f, u, covers, self.weights.T @ u)
        self.total = [whole + part for whole, part in zip(self.total, self.at, strict=True)]
        self.count += 1

    def look(self) -> tuple[float, float]:
        """The better bounds of the iterate and of the average; restarts at the better point once the gap has halved."""
        points = [self.at, _Point(*(whole / self.count for whole in self.total))]
        bounds = [self.bounds(point) for point in points]
        gaps = [upper - lower for upper, lower in bounds]
        if min(gaps) <= self.gap / 2 or self.count >= _PATIENCE:
            better = points[int(gaps[1] < gaps[0])]
            self._rebalance(better)
            self._restart(better)
        return min(upper for upper, _ in bounds), max(lower for _, lower in bounds)

    def _rebalance(self, better: _Point) -> None:
        """Weigh the two steps by how far each side has moved, in their own metrics, halfway in the logarithm."""
        moved_f = np.sqrt(self.column_sums @ (better.f - self.start.f) ** 2)
        moved_u = np.sqrt(self.row_sums @ (better.u - self.start.u) ** 2)
        if moved_f > 0 and moved_u > 0:
            self.balance = float(np.sqrt(self.balance * moved_f / moved_u))

    def bounds(self, point: _Point) -> tuple[float, float]:
        """What the multipliers prove, and what the flips reach, of the relaxed maximum."""
        worst = np.partition(point.gains, -self.budget)[-self.budget :]
        return float((1.0 - point.u).sum() + worst.sum()), float(np.minimum(1.0, point.covers).sum())


def project_capped(
    v: Float[np.ndarray, " n"], lengths: Float[np.ndarray, " n"], budget: float
) -> Float[np.ndarray, " n"]:
    """The f with 0 <= f <= 1 and sum f <= budget that is nearest to v in sum (f - v)² / lengths.

    It is clip(v - m lengths, 0, 1) for the smallest m >= 0 whose sum fits. The sum falls, linearly between the kinks
    where an entry leaves 1 or reaches 0: the two kinks around m are found by halving, each with a sum of its own, since
    running sums would drown short lengths in long ones.
    """

    def total(m: float) -> float:
        return float(np.clip(v - m * lengths, 0.0, 1.0).sum())

    if total(0.0) <= budget:
        return np.clip(v, 0.0, 1.0)
    kinks = np.concatenate([(v - 1.0) / lengths, v / lengths])
    kinks = np.concatenate([[0.0], np.sort(kinks[kinks > 0.0])])
    low, high = 0, len(kinks) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(kinks[middle]) > budget else (low, middle)
    above, below = total(kinks[low]), total(kinks[high])
    share = (above - budget) / (above - below) if above > below else 1.0
    return np.clip(v - (kinks[low] + share * (kinks[high] - kinks[low])) * lengths, 0.0, 1.0)


def _whole(bound: float) -> int:
    return int(np.floor(bound + _SLACK + 1e-9 * bound))
