"""The few labels whose flip misleads most nodes, section 1.2.5."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.graphs.poisoning import probabilistic, relaxed, search
from trustworthy.graphs.poisoning.attack import LabelAttack
from trustworthy.graphs.poisoning.problem import PoisoningProblem

Flips = Int[np.ndarray, " _"]
_GIVEN = ("margin", "effect", "budget", "rng")


@dataclass(frozen=True, kw_only=True)
class ClassificationLabelAttack(LabelAttack):
    """At most `budget` labels flipped so that most unlabelled nodes are misled, eqs. (1.6) to (1.10).

    budget : c_max, a number of labels between 0 and all.
    method : "greedy"; "probabilistic", gradient descent on the probabilities of flips; "relaxed", a continuous change
        in a ball, rounded; "local-search", swaps from the answers of these three, never worse than any; "exhaustive",
        the best of all sets, for small problems; "released-greedy" and "released-probabilistic", as in the code that
        was released with the dissertation, for comparison.
    options : settings of the method, for example {"restarts": 8}; see `trustworthy.graphs.poisoning.METHODS`.
    knowledge, assumed_gamma, n_neighbors : see `PoisoningAttack`.
    """

    method: str = "local-search"
    options: Mapping[str, Any] = field(default_factory=dict)

    task: str = field(default="classification", init=False)

    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        """The labels, -1 and 1, with some flipped."""
        method = checks.choice("method", self.method, METHODS)
        margin, effect = problem.margins(problem.assumed, problem.aim)
        if problem.towards:  # what is to be broken is every prediction that is not the target
            margin, effect = -margin, -effect
        flips = method(margin, effect, int(self.budget), **self._settings(method, rng))
        values = problem.values.copy()
        values[flips] *= -1.0
        return values

    def _settings(self, method: Callable[..., Flips], rng: np.random.Generator) -> dict[str, Any]:
        """The options, which the method must have, and the generator where it draws."""
        if not isinstance(self.options, Mapping):
            raise InvalidInput(f"options must be a mapping from names to settings, got {self.options!r}.")
        parameters = inspect.signature(method).parameters
        known = [name for name in parameters if name not in _GIVEN]
        for name in self.options:
            if name not in known:
                raise UnknownName.of(f"option of the method {self.method!r}", name, known)
        return {**self.options, **({"rng": rng} if "rng" in parameters else {})}


def _local_search(
    margin: Float[np.ndarray, " unlabelled"],
    effect: Float[np.ndarray, "unlabelled labelled"],
    budget: int,
    *,
    rng: np.random.Generator,
    restarts: int = 4,
) -> Flips:
    """Swaps from the answers of the three quick methods."""
    starts = [
        search.greedy(margin, effect, budget),
        probabilistic.probabilistic(margin, effect, budget, rng=rng),
        relaxed.relaxed(margin, effect, budget),
    ]
    return search.local_search(margin, effect, budget, starts=starts, rng=rng, restarts=restarts)


METHODS: dict[str, Callable[..., Flips]] = {
    "greedy": search.greedy,
    "probabilistic": probabilistic.probabilistic,
    "relaxed": relaxed.relaxed,
    "local-search": _local_search,
    "exhaustive": search.exhaustive,
    "released-greedy": search.released_greedy,
    "released-probabilistic": probabilistic.released_probabilistic,
}
"""Name of a method -> function of (margin, effect, budget) to the labels to flip; its keywords are the options."""
