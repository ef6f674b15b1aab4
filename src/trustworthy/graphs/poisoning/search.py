"""Which labels to flip, eq. (1.6): greedy, exhaustive and local search over sets of at most `budget` flips.

Everything is said in margins: `margin` (unlabelled,) is positive where a node is predicted as it should be, and
flipping label j subtracts column j of `effect` (unlabelled, labelled) from it. A node is broken when its margin is
<= 0, so a tie counts as broken, and (1.6) is -2 times the number of broken nodes. Effects may have any sign. Every
solver returns the sorted indices of the labels to flip.

Effects are read in C order, and copied first if they have another. Margins are kept up to date: one more flip of each
label costs one pass over the effects, less the rows of nodes that no single flip decides. Each solver raises
InvalidInput where shapes do not fit, a number is not finite, or the budget does not lie between 0 and the number of
labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import search_kernels as kernels

Margin = Float[np.ndarray, " unlabelled"]
Effect = Float[np.ndarray, "unlabelled labelled"]
Flips = Int[np.ndarray, " _"]

LARGEST = 5_000_000  # sets that the exhaustive search looks at


class Nodes(NamedTuple):
    """What the compiled loops take: margins, effects in C order, and the smallest and largest effect on each node."""

    margin: Margin
    effect: Effect
    low: Margin
    high: Margin


def broken(margin: Margin, effect: Effect, flips: ArrayLike) -> int:
    """Number of nodes whose margin is <= 0 after the flips, which are subtracted from the lowest label up."""
    return int(kernels.count_broken(_after(margin, effect, _indices(flips))))


def softness(margin: Margin) -> float:
    """Mean of the soft margins s / (1 + |s|), s = 4 margin, in (-1, 1): what decides between equally many broken nodes.

    Unlike a hinge or a tanh with a steep slope it is nowhere flat to rounding, so that it tells two flips apart on any
    plateau, and nodes far from the boundary still weigh; and it takes one division, no exponential.
    """
    return float(kernels.softness(np.asarray(margin, np.float64)))


def greedy(margin: Margin, effect: Effect, budget: int) -> Flips:
    """Flip the label that breaks the most nodes, again and again; the best part of this path, which may be empty.

    Ties go to the lowest soft margin, and the walk goes on where no single flip helps, as several together may. Cost:
    one pass over the effects a flip, and a second one over the columns that tie.
    """
    nodes, budget = prepared(margin, effect, budget)
    return best_prefix(nodes.margin, nodes.effect, kernels.greedy_path(*nodes, budget, True))


def released_greedy(margin: Margin, effect: Effect, budget: int) -> Flips:
    """Greedy as in the code released with the dissertation: the first of equals, and no more where no flip helps."""
    nodes, budget = prepared(margin, effect, budget)
    return np.sort(kernels.greedy_path(*nodes, budget, False))


def exhaustive(margin: Margin, effect: Effect, budget: int) -> Flips:
    """A best set of flips of all, by looking at every one: the smallest, and of these the first in lexicographic order.

    Raises InvalidInput beyond 5,000,000 sets. Cost: a count of the broken nodes a set.
    """
    nodes, budget = prepared(margin, effect, budget)
    labels = nodes.effect.shape[1]
    sets = sum(comb(labels, size) for size in range(budget + 1))
    if sets > LARGEST:
        raise InvalidInput(
            f"budget must leave at most {LARGEST:,} sets of flips to look at, got {budget} of {labels} labels, which "
            f'make {sets:,}. Use method="local-search", or a smaller budget.'
        )
    best, chosen = int(kernels.count_broken(nodes.margin)), np.empty(0, np.int64)
    for size in range(1, budget + 1):
        candidate = np.empty(size, np.int64)
        count = int(kernels.best_of_size(*nodes, best, candidate))
        if count > best:
            best, chosen = count, candidate
    return chosen


def local_search(
    margin: Margin,
    effect: Effect,
    budget: int,
    *,
    starts: Sequence[ArrayLike] = (),
    rng: np.random.Generator,
    restarts: int = 16,
) -> Flips:
    """Swap, add or take back one flip at a time while that breaks more nodes, or as many at a lower soft margin.

    starts : sets of at most `budget` flips to begin from; the greedy one if there are none. The answer is never worse.
    restarts : further climbs, each from the best set so far with two to all of its flips exchanged for random ones.

    Deterministic for one state of `rng`. Cost: a move looks at all swaps in at most budget + 1 passes over the effects.
    """
    nodes, budget = prepared(margin, effect, budget)
    restarts = checks.integer("restarts", restarts, at_least=0)
    begin = [_start(flips, budget, nodes.effect.shape[1]) for flips in starts] or [greedy(margin, effect, budget)]
    best = max((_climb(nodes, flips, budget) for flips in _distinct(begin)), key=lambda flips: _worth(nodes, flips))
    for _ in range(restarts):
        found = _climb(nodes, _shaken(best, nodes.effect.shape[1], budget, rng), budget)
        best = max(best, found, key=lambda flips: _worth(nodes, flips))
    return _trimmed(nodes, best)


def best_prefix(margin: Margin, effect: Effect, ranking: Int[np.ndarray, " ranked"]) -> Flips:
    """The front part of a ranking that breaks the most nodes; the shortest of equals, never worse than none."""
    ranking = _indices(ranking, ordered=False)
    counts = kernels.prefix_counts(margin, effect, ranking)
    chosen = np.sort(ranking[: int(np.argmax(counts))])
    # Added up in another order, margins that are 0 but for rounding may fall on the other side.
    return chosen if broken(margin, effect, chosen) > counts[0] else chosen[:0]


def prepared(margin: np.ndarray, effect: np.ndarray, budget: int) -> tuple[Nodes, int]:
    """Checked arguments: the budget as an int, and arrays as the compiled loops take them."""
    margin, effect = np.ascontiguousarray(margin, np.float64), np.ascontiguousarray(effect, np.float64)
    if margin.ndim != 1 or effect.ndim != 2 or effect.shape[0] != len(margin) or not effect.size:
        raise InvalidInput(
            "margin must have the shape (unlabelled,) and effect (unlabelled, labelled), with one of each at least, "
            f"got {margin.shape} and {effect.shape}."
        )
    nodes = Nodes(margin, effect, effect.min(axis=1), effect.max(axis=1))
    if not all(np.isfinite(numbers).all() for numbers in (nodes.margin, nodes.low, nodes.high)):
        raise InvalidInput(
            "margin and effect must be finite: leave out the nodes that no label reaches, which are NaN."
        )
    return nodes, checks.integer("budget", budget, at_least=0, at_most=effect.shape[1])


def _climb(nodes: Nodes, flips: Flips, budget: int) -> Flips:
    """Best moves until none is better by the margins that `broken` counts."""
    while True:
        left = _after(nodes.margin, nodes.effect, flips)
        leaving, coming = kernels.best_move(left, *nodes[1:], flips, budget)
        moved = np.setdiff1d(flips, [leaving])
        moved = np.union1d(moved, [coming]) if coming >= 0 else moved
        if (leaving < 0 and coming < 0) or _worth(nodes, moved) <= _worth(nodes, flips):
            return flips
        flips = moved


def _worth(nodes: Nodes, flips: Flips) -> tuple[int, float]:
    """Number of broken nodes, then the soft margin lowered."""
    left = _after(nodes.margin, nodes.effect, flips)
    return int(kernels.count_broken(left)), -float(kernels.softness(left))


def _shaken(flips: Flips, labels: int, budget: int, rng: np.random.Generator) -> Flips:
    """Two flips or more exchanged for random ones, as one is what a climb looks at, and filled up to the budget."""
    kept = rng.permutation(flips)[: rng.integers(max(len(flips) - 1, 1))]
    others = rng.permutation(np.setdiff1d(np.arange(labels), kept))
    return np.sort(np.concatenate([kept, others[: budget - len(kept)]]))


def _trimmed(nodes: Nodes, flips: Flips) -> Flips:
    """Without the flips that could be left out, one after the other, and as many nodes stay broken."""
    count = broken(nodes.margin, nodes.effect, flips)
    for label in flips:
        fewer = np.setdiff1d(flips, [label])
        if broken(nodes.margin, nodes.effect, fewer) >= count:
            flips = fewer
    return flips


def _start(flips: ArrayLike, budget: int, labels: int) -> Flips:
    """A checked start."""
    found = _indices(flips)
    if (
        len(found) > budget
        or len(np.unique(found)) < len(found)
        or (len(found) and not 0 <= found[0] <= found[-1] < labels)
    ):
        raise InvalidInput(
            f"starts must be sets of at most {budget} different labels between 0 and {labels - 1}, "
            f"got {found.tolist()}."
        )
    return found


def _distinct(sets: list[Flips]) -> list[Flips]:
    return [np.array(flips, np.int64) for flips in dict.fromkeys(tuple(flips.tolist()) for flips in sets)]


def _after(margin: Margin, effect: Effect, flips: Flips) -> Margin:
    return kernels.flipped(margin, effect, flips)


def _indices(flips: ArrayLike, *, ordered: bool = True) -> Flips:
    found = np.asarray(flips)
    found = found.astype(np.int64) if found.size else np.empty(0, np.int64)
    return np.sort(found) if ordered else found
