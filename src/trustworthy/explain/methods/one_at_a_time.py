"""What the explained number does as one feature alone moves, or goes: the gradient, and leave-one-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored


@dataclass(frozen=True, kw_only=True)
class Gradient(Explainer):
    """Absolute derivative of the logit with respect to each coordinate, summed over those of a feature.

    Cost: one forward and one backward pass. Reference: Simonyan et al. 2014; "Grad" of Table 7.1.
    """

    asks: ClassVar = "gradients"

    def explain(self, question: Question) -> Scored:
        gradient, _ = question.gradients(question.x)
        return Scored(question.groups.summed(gradient.abs()))


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut(Explainer):
    """The logit of the example less that with one feature at the baseline.

    Parameters
    ----------
    baseline : what a missing feature looks like, in the units of the input.

    Cost: one forward pass per feature. Reference: Zeiler and Fergus 2014; "LOO" of Table 7.1.
    """

    baseline: Baseline = 0.0

    ranks: ClassVar = "size"

    def explain(self, question: Question) -> Scored:
        count = question.groups.count
        without = ~torch.eye(count, dtype=torch.bool, device=question.x.device).expand(len(question.x), -1, -1)
        whole = question.scores(question.x)
        return Scored(whole[:, None] - question.values(without, self.baseline))
