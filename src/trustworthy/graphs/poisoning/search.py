"""Which labels to flip, eq. (1.6): what every search shares, and the greedy, the exhaustive and the relaxed one.

Everything is said in margins: `margin` (unlabelled,) is positive where a node is predicted as it should be, and
flipping label j subtracts column j of `effect` (unlabelled, labelled) from it. A node is broken when its margin is
<= 0, so a tie counts as broken, and (1.6) is -2 times the number of broken nodes. Effects may have any sign.

Margins are kept up to date: one more flip of each label costs one pass over the effects, less the rows of nodes that no
single flip decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import comb, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning import search_kernels as kernels
from trustworthy.graphs.poisoning.trust_region import minimize_in_ball

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

    @classmethod
    def of(cls, margin: np.ndarray, effect: np.ndarray) -> Nodes:
        """Checked and, where they have another order, copied."""
        margin, effect = np.ascontiguousarray(margin, np.float64), np.ascontiguousarray(effect, np.float64)
        if margin.ndim != 1 or effect.ndim != 2 or effect.shape[0] != len(margin) or not effect.size:
            raise InvalidInput(
                "margin must have the shape (unlabelled,) and effect (unlabelled, labelled), with one of each at "
                f"least, got {margin.shape} and {effect.shape}."
            )
        nodes = cls(margin, effect, effect.min(axis=1), effect.max(axis=1))
        if not all(np.isfinite(numbers).all() for numbers in (nodes.margin, nodes.low, nodes.high)):
            raise InvalidInput(
                "margin and effect must be finite: leave out the nodes that no label reaches, which are NaN."
            )
        return nodes


@dataclass(frozen=True, kw_only=True)
class FlipSearch(ABC):
    """Called with margins (unlabelled,), effects (unlabelled, labelled) and a budget, it returns at most so many flips.

    They are ascending, and break no fewer nodes than none do unless the search says otherwise. Only searches that say
    so draw from `rng`. Raises InvalidInput where shapes do not fit, a number is not finite, or the budget does not lie
    between 0 and the number of labels.
    """

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        nodes = Nodes.of(margin, effect)
        return self.flips(nodes, checks.integer("budget", budget, at_least=0, at_most=effect.shape[1]), rng)

    @abstractmethod
    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        """Labels to flip, of arguments that are checked."""


class Greedy(FlipSearch):
    """Flip the label that breaks the most nodes, again and again; the best part of this path, which may be empty.

    Ties go to the lowest soft margin, and the walk goes on where no single flip helps, as several together may. Cost:
    one pass over the effects a flip, and a second one over the columns that tie.
    """

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        return best_prefix(nodes.margin, nodes.effect, kernels.greedy_path(*nodes, budget, True))


class ReleasedGreedy(FlipSearch):
    """Greedy as in the code released with the dissertation: the first of equals, and no more where no flip helps."""

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        return np.sort(kernels.greedy_path(*nodes, budget, False))


class Exhaustive(FlipSearch):
    """A best set of flips of all, by looking at every one: the smallest, and of these the first in lexicographic order.

    Raises InvalidInput beyond 5,000,000 sets. Cost: a count of the broken nodes a set.
    """

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        labels = nodes.effect.shape[1]
        sets = sum(comb(labels, size) for size in range(budget + 1))
        if sets > LARGEST:
            raise InvalidInput(
                f"budget must leave at most {LARGEST:,} sets of flips to look at, got {budget} of {labels} labels, "
                f'which make {sets:,}. Use method="local-search", or a smaller budget.'
            )
        best, chosen = int(kernels.count_broken(nodes.margin)), np.empty(0, np.int64)
        for size in range(1, budget + 1):
            candidate = np.empty(size, np.int64)
            count = int(kernels.best_of_size(*nodes, best, candidate))
            if count > best:
                best, chosen = count, candidate
        return chosen


class Relaxed(FlipSearch):
    """Flip the labels whose delta falls the most in the ball ||delta - 1|| <= 2 sqrt(budget) around (1.6)'s sets.

    The threshold method of the code released with the dissertation, solved exactly. Labels whose delta does not fall
    below 1 stay. Of this ranking the best part, from its front, is returned; the released method flips all of it.
    Cost: O(unlabelled labelled² + labelled³).
    """

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        if budget == 0:
            return np.empty(0, np.int64)
        p = relaxed_flips(nodes.margin, nodes.effect, budget)
        ranking = np.argsort(-p, kind="stable")[:budget]
        return best_prefix(nodes.margin, nodes.effect, ranking[p[ranking] > 0.0])


def relaxed_flips(margin: Margin, effect: Effect, budget: int) -> Float[np.ndarray, " labelled"]:
    """The p = (1 - delta) / 2 with ||p|| <= sqrt(budget) that maximises ½ ||margin - effect p - 1||².

    That is ½ ||K (y ∘ delta) - t||² for aims t in {-1, 1}, whose sign is put into the margins: without the sign g of
    (1.6), a trust-region problem (1.4).
    """
    hessian, gradient = -(effect.T @ effect), effect.T @ (margin - 1.0)
    return minimize_in_ball(hessian, gradient, sqrt(budget)).point


def broken(margin: Margin, effect: Effect, flips: ArrayLike) -> int:
    """Number of nodes whose margin is <= 0 after the flips, which are subtracted from the lowest label up."""
    ordered = np.sort(np.asarray(flips, np.int64))
    return int(kernels.count_broken(kernels.flipped(margin, effect, ordered)))


def best_prefix(margin: Margin, effect: Effect, ranking: Int[np.ndarray, " ranked"]) -> Flips:
    """The front part of a ranking that breaks the most nodes; the shortest of equals, never worse than none."""
    counts = kernels.prefix_counts(margin, effect, ranking)
    chosen = np.sort(ranking[: int(np.argmax(counts))])
    # Added up in another order, margins that are 0 but for rounding may fall on the other side.
    return chosen if broken(margin, effect, chosen) > counts[0] else chosen[:0]
