"""The searches for label flips as values, and their names.

`ClassificationLabelAttack` hands a search margins and effects (see `search`) and gets the labels to flip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from trustworthy.graphs.poisoning import probabilistic, relaxed, search
from trustworthy.graphs.poisoning.search import Effect, Flips, Margin


@dataclass(frozen=True, kw_only=True)
class FlipSearch(ABC):
    """Called with margins (unlabelled,), effects (unlabelled, labelled) and a budget, it returns at most so many flips.

    Only searches that say so draw from `rng`.
    """

    @abstractmethod
    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        """Labels to flip, ascending."""


class Greedy(FlipSearch):
    """One flip after the other, ties by a soft margin: `search.greedy`."""

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return search.greedy(margin, effect, budget)


class ReleasedGreedy(FlipSearch):
    """As in the code released with the dissertation: `search.released_greedy`."""

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return search.released_greedy(margin, effect, budget)


class Exhaustive(FlipSearch):
    """The best of all sets, for small problems: `search.exhaustive`."""

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return search.exhaustive(margin, effect, budget)


class Relaxed(FlipSearch):
    """The real-valued optimum in a ball, rounded: `relaxed.relaxed`."""

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return relaxed.relaxed(margin, effect, budget)


@dataclass(frozen=True, kw_only=True)
class Probabilistic(FlipSearch):
    """Gradient descent on the probabilities of flips, whose settings are those of `probabilistic.probabilistic`."""

    temperature: float = 0.5
    sharpness: float = 10.0
    penalty: float | None = None
    samples: int = 2
    steps: int = 200
    restarts: int = 8
    learning_rate: float = 0.5

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return probabilistic.probabilistic(margin, effect, budget, rng=rng, **vars(self))


@dataclass(frozen=True, kw_only=True)
class ReleasedProbabilistic(FlipSearch):
    """As in the code released with the dissertation: `probabilistic.released_probabilistic`."""

    steps: int = 1500

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        return probabilistic.released_probabilistic(margin, effect, budget, rng=rng, steps=self.steps)


@dataclass(frozen=True, kw_only=True)
class LocalSearch(FlipSearch):
    """Swaps from the answers of the greedy, the probabilistic and the relaxed search, never worse than any.

    restarts : further climbs, see `search.local_search`.
    """

    restarts: int = 4

    def __call__(self, margin: Margin, effect: Effect, budget: int, rng: np.random.Generator) -> Flips:
        starts = [start(margin, effect, budget, rng) for start in (Greedy(), Probabilistic(), Relaxed())]
        return search.local_search(margin, effect, budget, starts=starts, rng=rng, restarts=self.restarts)


METHODS: dict[str, FlipSearch] = {
    "greedy": Greedy(),
    "probabilistic": Probabilistic(),
    "relaxed": Relaxed(),
    "local-search": LocalSearch(),
    "exhaustive": Exhaustive(),
    "released-greedy": ReleasedGreedy(),
    "released-probabilistic": ReleasedProbabilistic(),
}
"""Name of a search -> the search with its default settings."""
