"""Counterfactual: what has to change for another prediction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from trustworthy.explain.explainer import Explainer, Question, Scored
from trustworthy.explain.robustness import Robustness


@dataclass(frozen=True, kw_only=True)
class Counterfactual(Explainer):
    """Size of the change of each feature at the nearest example that is predicted otherwise, or as `target`.

    Distances are those of the attack: bring the columns of a table to one scale. Where none is found all scores are 0.

    Parameters
    ----------
    robustness : how it is searched, `Robustness(attack=BoundaryAttack())` of models without gradients.

    Cost: that of the attack, 200 gradients by default. Reference: Wachter et al. 2018, whose search by a weight that
    grows is the attack of Carlini and Wagner; "CFX" of Table 7.1.
    """

    robustness: Robustness = field(default_factory=Robustness)

    asks: ClassVar = "gradients"
    of_prediction: ClassVar = True

    def explain(self, question: Question) -> Scored:
        x, y, target = question.x, question.goal.y, question.goal.target
        attack = self.robustness.attack
        robustness = replace(self.robustness, attack=replace(attack, eot=max(self.eot, attack.eot)))
        free = question.groups.free(question.groups.present).expand(x.shape)
        found = robustness(question.model, x, y, free[:, None], target=target, generator=question.generator)
        question.count(found.calls)
        return Scored(question.groups.summed((found.points[:, 0] - x).abs()))
