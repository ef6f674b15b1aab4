"""Attacks that do not look at what the learner makes of the labels: chance, and central nodes (figure 1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trustworthy.core import checks
from trustworthy.graphs.centrality import degree, pagerank
from trustworthy.graphs.poisoning.attack import LabelAttack
from trustworthy.graphs.poisoning.problem import PoisoningProblem

_CENTRALITIES = {"degree": degree, "pagerank": pagerank}


@dataclass(frozen=True, kw_only=True)
class RandomLabelAttack(LabelAttack):
    """Labels changed at random: so many classes flipped, or real labels moved in a direction drawn from a Gaussian.

    budget : classes to flip, or the l2 norm of the change of real labels.
    """

    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        return _spent(problem, self.budget, rng.standard_normal(len(problem.values)))


@dataclass(frozen=True, kw_only=True)
class CentralityAttack(LabelAttack):
    """Labels of the nodes that are most central in the graph of all rows changed.

    budget : classes to flip, those of the most central nodes; or the l2 norm of the change of real labels, which is in
        proportion to centrality and up for all.
    centrality : "degree", the sum of affinities, or "pagerank", with a damping of 0.85.
    """

    centrality: str = "degree"

    def changed(self, problem: PoisoningProblem, rng: np.random.Generator) -> Float[np.ndarray, " labelled"]:
        measure = checks.choice("centrality", self.centrality, _CENTRALITIES)
        if self.centrality not in problem.centralities:  # one graph serves all budgets
            graph = problem.graphs.whole(problem.assumed_gamma)
            problem.centralities[self.centrality] = measure(graph)[problem.known]
        return _spent(problem, self.budget, problem.centralities[self.centrality])


def _spent(
    problem: PoisoningProblem, budget: float, scores: Float[np.ndarray, " labelled"]
) -> Float[np.ndarray, " labelled"]:
    """Flip the labels with the highest scores, or move real labels along the scores."""
    if problem.classifies:
        flips = np.argsort(-scores, kind="stable")[: int(budget)]
        return np.where(np.isin(np.arange(len(scores)), flips), -problem.values, problem.values)
    return problem.values + budget * scores / max(float(np.linalg.norm(scores)), np.finfo(float).tiny)
