"""The few labels whose flip misleads most nodes, section 1.2.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.graphs.poisoning.attack import LabelAttack
from trustworthy.graphs.poisoning.local_search import LocalSearch
from trustworthy.graphs.poisoning.probabilistic import Probabilistic, ReleasedProbabilistic
from trustworthy.graphs.poisoning.problem import PoisoningProblem
from trustworthy.graphs.poisoning.search import Exhaustive, FlipSearch, Greedy, Relaxed, ReleasedGreedy

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


@dataclass(frozen=True, kw_only=True)
class ClassificationLabelAttack(LabelAttack):
    """At most `budget` labels flipped so that most unlabelled nodes are misled, eqs. (1.6) to (1.10).

    budget : c_max, a number of labels between 0 and all.
    method : a search such as LocalSearch(restarts=8), or its name in METHODS.
    """

    reads: ClassVar = "classification"
    method: FlipSearch | str = METHODS["local-search"]

    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        method = self.method if isinstance(self.method, FlipSearch) else checks.choice("method", self.method, METHODS)
        margin, effect = problem.margins(problem.assumed, problem.aim)  # (unlabelled,), (unlabelled, labelled)
        if problem.towards:  # what is to be broken is every prediction that is not the target
            margin, effect = -margin, -effect
        values = problem.values.copy()
        values[method(margin, effect, int(self.budget), rng)] *= -1.0
        return values
