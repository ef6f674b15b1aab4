"""A random order of the features: what an explanation must be better than."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from trustworthy.explain.explainer import Explainer, Question, Scored


@dataclass(frozen=True, kw_only=True)
class RandomOrder(Explainer):
    """Scores drawn uniformly from [0, 1), which know nothing of the model. Random: the scores."""

    asks: ClassVar = "labels"

    def explain(self, question: Question) -> Scored:
        shape = (len(question.x), question.groups.count)
        return Scored(torch.rand(shape, generator=question.generator, device=question.x.device).to(question.x))
