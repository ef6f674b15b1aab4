"""Poisoning of few real labels: maximise 1/2 ||K delta + r||² over ||delta||_2 <= radius and ||delta||_0 <= nonzeros.

`RegressionLabelAttack(nonzeros=)` calls `maximize_sparse` with K, r and the budgets and adds what comes out (labelled,)
to its labels; `attack.error_bounds` calls `sparse_bound`.

The combinatorial part of R_1 in (1.2). On one support the problem is the trust region (1.4) with H = -K_SᵀK_S and
g = -K_Sᵀr, solved exactly; the search is over supports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar

from trustworthy.core import checks
from trustworthy.graphs.poisoning.trust_region import ROUNDING, TINY, Quadratic, minimize_in_ball

BISECTIONS = 60  # halvings of the bracket of a multiplier: down to rounding
STEPS = 64  # greedy steps at most; more labels than this are added several at a time
THRESHOLDS = 100  # rounds of hard thresholding at most
REMOVALS = 64  # labels that a round of exchanges tries to take out


def maximize_sparse(
    operator: Float[np.ndarray, "unlabelled labelled"],
    residual: Float[np.ndarray, " unlabelled"],
    radius: float,
    nonzeros: int,
) -> Float[np.ndarray, " labelled"]:
    """Return a delta that makes 1/2 ||K delta + r||² large with ||delta||_2 <= radius and at most `nonzeros` entries.

    Starts: greedy forward selection, and iterative hard thresholding from the optimum of the whole ball and from the
    gradient at 0. From each, one label of the support is exchanged for one outside as long as that helps, and the
    best end is returned: never below the best start, optimal under single exchanges, and the exact optimum of the
    ball where `nonzeros` does not bind. Not always the best support, for which `sparse_bound` says how far it can be.

    operator : K; residual : r = K y_l - y_u; radius >= 0 in units of the labels; nonzeros >= 0.
    Deterministic. Cost: O(n_u n_l²) for KᵀK; then for each label taken out an eigen-decomposition of the support and
    O(nonzeros n_l) for the exact value with each label in its place. Raises InvalidInput where radius or nonzeros is
    negative.
    """
    problem, count = _Supports.of(operator, residual, radius), checks.integer("nonzeros", nonzeros, at_least=0)
    labelled = len(problem.linear)
    if count == 0 or problem.radius == 0.0:
        return np.zeros(labelled)
    whole = minimize_in_ball(-problem.gram, -problem.linear, problem.radius).point
    if count >= labelled:
        return whole
    starts = [_greedy(problem, count), _threshold(problem, whole, count), _threshold(problem, problem.linear, count)]
    distinct = {tuple(start): start for start in starts}
    ends = [_exchange(problem, start) for start in distinct.values()]
    best = max(ends, key=problem.value)
    delta = np.zeros(labelled)
    delta[best] = problem.solve(best)[0]
    return delta


def sparse_bound(
    operator: Float[np.ndarray, "unlabelled labelled"],
    residual: Float[np.ndarray, " unlabelled"],
    radius: float,
    nonzeros: int,
) -> float:
    """Return a number that 1/2 ||K delta + r||² cannot exceed with ||delta||_2 <= radius and `nonzeros` entries.

    With M = KᵀK and b = Kᵀr the objective is 1/2 ||r||² + 1/2 deltaᵀM delta + bᵀdelta. The least of these bounds:
    the optimum of the whole ball; and 1/2 deltaᵀ diag(D) delta + |b|ᵀ|delta| with the Lagrangian dual of the ball,
    min over l > max D of l radius²/2 + the sum of the c largest b_i² / (2 (l - D_i)), for every diagonal D with
    M_S <= diag(D)_S on each support S of c labels:
    the same number everywhere, being the largest eigenvalue of M, the sum of its c largest diagonal entries (the
    trace of M_S) or the Frobenius norm of the c rows with the largest c entries; or by dominance (scaled Gershgorin)
    D_i = M_ii + the sum of the c - 1 largest |M_ij| w_j / w_i over j != i, for w = 1 and for the Perron vector of |M|.
    With one label it is the optimum, with all of them it is the optimum of the ball.

    Arguments and errors as `maximize_sparse`. Rounded outward. Cost: O(n_u n_l² + n_l³).
    """
    problem, count = _Supports.of(operator, residual, radius), checks.integer("nonzeros", nonzeros, at_least=0)
    labelled = len(problem.linear)
    gain = 0.0
    if count > 0 and problem.radius > 0.0:
        whole = Quadratic.of(-problem.gram, -problem.linear)
        gain = -whole.minimum(problem.radius).value
        if count == 1:
            diagonal = problem.gram.diagonal()
            gain = float((0.5 * diagonal * problem.radius**2 + np.abs(problem.linear) * problem.radius).max())
        elif count < labelled:
            diagonals = _diagonals(problem.gram, count, -float(whole.eigenvalues[0]))
            gain = min(gain, *(_separable(D, problem.linear, problem.radius, count) for D in diagonals))
    size = 0.5 * float(residual @ residual)
    return size + gain + 16 * (labelled + len(residual)) * ROUNDING * (size + gain)


@dataclass(frozen=True)
class _Supports:
    """The gain 1/2 deltaᵀM delta + bᵀdelta over the ball, restricted to supports.

    gram : (labelled, labelled) M = KᵀK; linear : (labelled,) b = Kᵀr.
    """

    gram: Float[np.ndarray, "labelled labelled"]
    linear: Float[np.ndarray, " labelled"]
    radius: float

    @classmethod
    def of(cls, operator: np.ndarray, residual: np.ndarray, radius: float) -> _Supports:
        return cls(operator.T @ operator, operator.T @ residual, checks.real("radius", radius, at_least=0.0))

    def solve(self, support: Int[np.ndarray, " k"]) -> tuple[Float[np.ndarray, " k"], float]:
        """Return the best labels on a support and their gain. Cost: O(k³)."""
        found = minimize_in_ball(-self.gram[np.ix_(support, support)], -self.linear[support], self.radius)
        return found.point, -found.value

    def value(self, support: Int[np.ndarray, " k"]) -> float:
        return self.solve(support)[1]

    def values_with_one_more(self, support: Int[np.ndarray, " k"]) -> Float[np.ndarray, " labelled"]:
        """Return the gain of the support with each label added, -inf for those in it.

        The gain is the minimum over l > the largest eigenvalue of 1/2 b_Sᵀ(l - M_S)^-1 b_S + l radius²/2. In the
        eigenvectors of the support M_S is an arrow, whose inverse is explicit; l is found by bisection, for all labels
        at once. Cost: one eigen-decomposition and O(k labelled) for each halving.
        """
        part = self.gram[np.ix_(support, support)], self.linear[support]
        kernel = Quadratic.of(*part) if len(support) else Quadratic(part[1], *part)
        levels, inner = kernel.eigenvalues[:, None], kernel.linear[:, None]  # (k, 1)
        outside = np.setdiff1d(np.arange(len(self.linear)), support)  # (labelled - k,)
        cross = kernel.vectors.T @ self.gram[np.ix_(support, outside)]
        own, linear = self.gram.diagonal()[outside], self.linear[outside]
        top = levels.max(initial=0.0)
        low = np.maximum(top, own)
        # The largest eigenvalue of the arrow is at most top + own, and the multiplier ||b_S|| / radius above that.
        high = (top + own) * (1.0 + 1e-9) + np.sqrt((inner**2).sum() + linear**2) / self.radius + TINY
        gains = np.full(len(outside), np.inf)
        for _ in range(BISECTIONS):
            level = 0.5 * (low + high)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                inverse = 1.0 / (level - levels)  # (k, outside)
                pivot = level - own - (cross**2 * inverse).sum(axis=0)
                last = (linear + (cross * inner * inverse).sum(axis=0)) / pivot
                rest = (inner + cross * last) * inverse
                above = (pivot > 0.0) & (level > top)
                dual = 0.5 * ((inner * rest).sum(axis=0) + linear * last) + 0.5 * level * self.radius**2
                inside = above & ((rest**2).sum(axis=0) + last**2 <= self.radius**2)
            gains = np.where(above & (dual < gains), dual, gains)  # every level above is an upper bound
            low, high = np.where(inside, low, level), np.where(inside, level, high)
        values = np.full(len(self.linear), -np.inf)
        values[outside] = gains
        return values


def _greedy(problem: _Supports, count: int) -> Int[np.ndarray, " k"]:
    """Add the label that gains most, again and again; the support comes sorted."""
    support = np.zeros(0, dtype=np.intp)
    block = math.ceil(count / STEPS)
    while len(support) < count:
        values = problem.values_with_one_more(support)
        best = np.argsort(-values, kind="stable")[: min(block, count - len(support))]
        support = np.sort(np.r_[support, best])
    return support


def _threshold(problem: _Supports, start: Float[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
    """Keep the largest entries of the gradient M delta + b, again and again; the support comes sorted.

    The objective is convex, so each round maximises a linear lower bound of it over the feasible set and never falls.
    """
    support = _largest(start, count)
    for _ in range(THRESHOLDS):
        delta = problem.solve(support)[0]
        following = _largest(problem.gram[:, support] @ delta + problem.linear, count)
        if np.array_equal(following, support):
            break
        support = following
    return support


def _largest(vector: Float[np.ndarray, " n"], count: int) -> Int[np.ndarray, " k"]:
    return np.sort(np.argsort(-np.abs(vector), kind="stable")[:count])


def _exchange(problem: _Supports, support: Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
    """Exchange one label for one outside while that raises the value; labels that moved least are tried first."""
    delta, value = problem.solve(support)
    improved = True
    while improved:
        improved = False
        for place in np.argsort(np.abs(delta), kind="stable")[:REMOVALS]:
            kept = np.delete(support, place)
            trial = np.sort(np.r_[kept, np.argmax(problem.values_with_one_more(kept))])
            labels, gain = problem.solve(trial)
            if gain > value + 1e-12 * abs(value):
                support, delta, value, improved = trial, labels, gain, True
                break
    return support


def _diagonals(gram: Float[np.ndarray, "n n"], count: int, largest: float) -> list[Float[np.ndarray, " n"]]:
    """Return diagonals D with M_S <= diag(D)_S for every support S of `count` labels; see `sparse_bound`."""
    labelled = len(gram)
    sizes = np.abs(gram)
    trace = np.sort(gram.diagonal())[-count:].sum()
    frobenius = math.sqrt(np.sort(np.sort(gram**2, axis=1)[:, -count:].sum(axis=1))[-count:].sum())
    found = [np.full(labelled, min(largest, trace, frobenius))]
    perron = np.abs(np.linalg.eigh(sizes)[1][:, -1])
    for weights in (np.ones(labelled), np.maximum(perron, 1e-6 * perron.max())):
        shares = sizes * weights / weights[:, None]
        np.fill_diagonal(shares, 0.0)
        found.append(gram.diagonal() + np.sort(shares, axis=1)[:, labelled - count + 1 :].sum(axis=1))
    return found


def _separable(D: Float[np.ndarray, " n"], linear: Float[np.ndarray, " n"], radius: float, count: int) -> float:
    """Bound 1/2 deltaᵀ diag(D) delta + linearᵀdelta over the sparse ball by its dual; any multiplier gives a bound."""
    top, reach = float(D.max()), math.sqrt(float(np.sort(linear**2)[-count:].sum())) / radius

    def dual(excess: float) -> float:
        below = top - D + excess
        terms = np.divide(linear**2, below, out=np.zeros_like(linear), where=linear != 0.0)
        return 0.5 * (top + excess) * radius**2 + 0.5 * float(np.sort(terms)[-count:].sum())

    if reach == 0.0:
        return dual(0.0)
    # At the minimum the excess is at most `reach`, and there the bound is that of the largest D for every label.
    found = minimize_scalar(dual, bounds=(0.0, reach), method="bounded", options={"xatol": 1e-10 * reach})
    return min(dual(reach), float(found.fun))
