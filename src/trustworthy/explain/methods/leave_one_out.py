"""Leave-one-out: what the explained number loses without a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored


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
