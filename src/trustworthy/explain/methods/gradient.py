"""Gradient: how much the explained number moves with each feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trustworthy.explain.explainer import Explainer, Question, Scored


@dataclass(frozen=True, kw_only=True)
class Gradient(Explainer):
    """Absolute derivative of the logit with respect to each coordinate, summed over those of a feature.

    Cost: one forward and one backward pass. Reference: Simonyan et al. 2014; "Grad" of Table 7.1.
    """

    asks: ClassVar = "gradients"

    def explain(self, question: Question) -> Scored:
        gradient, _ = question.gradients(question.x)
        return Scored(question.groups.summed(gradient.abs()))
