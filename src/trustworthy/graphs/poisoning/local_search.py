"""Local search over sets of label flips, from the answers of other searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trustworthy.core import checks
from trustworthy.graphs.poisoning import search_kernels as kernels
from trustworthy.graphs.poisoning.probabilistic import Probabilistic
from trustworthy.graphs.poisoning.search import Flips, FlipSearch, Greedy, Nodes, Relaxed, broken


@dataclass(frozen=True, kw_only=True)
class LocalSearch(FlipSearch):
    """Swap, add or take back one flip at a time while that breaks more nodes, or as many at a lower soft margin.

    starts : searches from whose answers it begins, never worse than any.
    restarts : further climbs, each from the best set so far with two to all of its flips exchanged for random ones.

    Draws from `rng`. Cost: a move looks at all swaps in at most budget + 1 passes over the effects.
    """

    starts: tuple[FlipSearch, ...] = (Greedy(), Probabilistic(), Relaxed())
    restarts: int = 4

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        restarts = checks.integer("restarts", self.restarts, at_least=0)
        begin = dict.fromkeys(tuple(start.flips(nodes, budget, rng).tolist()) for start in self.starts)
        best = _best(nodes, [_climb(nodes, np.array(flips, np.int64), budget) for flips in begin])
        for _ in range(restarts):
            best = _best(nodes, [best, _climb(nodes, _shaken(nodes, best, budget, rng), budget)])
        return _trimmed(nodes, best)


def _climb(nodes: Nodes, flips: Flips, budget: int) -> Flips:
    """Best moves until none is better by the margins that `broken` counts."""
    while True:
        left = kernels.flipped(nodes.margin, nodes.effect, flips)
        leaving, coming = kernels.best_move(left, *nodes[1:], flips, budget)
        moved = np.setdiff1d(flips, [leaving])
        moved = np.union1d(moved, [coming]) if coming >= 0 else moved
        if (leaving < 0 and coming < 0) or _worth(nodes, moved) <= _worth(nodes, flips):
            return flips
        flips = moved


def _best(nodes: Nodes, sets: list[Flips]) -> Flips:
    """The set of the highest worth, the first of equals."""
    return max(sets, key=lambda flips: _worth(nodes, flips))


def _worth(nodes: Nodes, flips: Flips) -> tuple[int, float]:
    """Number of broken nodes, then the soft margin lowered."""
    left = kernels.flipped(nodes.margin, nodes.effect, flips)
    return int(kernels.count_broken(left)), -float(kernels.softness(left))


def _shaken(nodes: Nodes, flips: Flips, budget: int, rng: np.random.Generator) -> Flips:
    """Two flips or more exchanged for random ones, as one is what a climb looks at, and filled up to the budget."""
    kept = rng.permutation(flips)[: rng.integers(max(len(flips) - 1, 1))]
    others = rng.permutation(np.setdiff1d(np.arange(nodes.effect.shape[1]), kept))
    return np.sort(np.concatenate([kept, others[: budget - len(kept)]]))


def _trimmed(nodes: Nodes, flips: Flips) -> Flips:
    """Without the flips that could be left out, one after the other, and as many nodes stay broken."""
    count = broken(nodes.margin, nodes.effect, flips)
    for label in flips:
        fewer = np.setdiff1d(flips, [label])
        if broken(nodes.margin, nodes.effect, fewer) >= count:
            flips = fewer
    return flips
