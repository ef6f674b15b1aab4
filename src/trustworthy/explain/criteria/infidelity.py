"""Infidelity: how wrong the scores are about what happens where features are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from trustworthy.core import checks
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria.criterion import Criterion, Judged
from trustworthy.explain.explainer import Baseline, Explainer, Question


@dataclass(frozen=True, kw_only=True)
class Infidelity(Criterion):
    """Mean squared difference between the sum of the scores of what is removed and what the explained number loses.

    Parameters
    ----------
    baseline : what a missing feature looks like, in the units of the input.
    draws : random sets of features that are removed, >= 2. How large a set is, is uniform.
    scaled : multiply the scores of each example by the factor >= 0 that fits best, so that scores that have no unit
        can be judged; otherwise they must be in the units of the logit.

    In squared units of the logit. Cost: draws + 1 forward passes. Random: the sets. Reference: Yeh et al. 2019.
    """

    baseline: Baseline = 0.0
    draws: int = 100
    scaled: bool = True

    name: ClassVar = "infidelity"
    higher_is_better: ClassVar = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("draws", self.draws, at_least=2)

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        scores, generator, device = attribution.scores.nan_to_num(), question.generator, question.x.device
        share = torch.rand(1, self.draws, 1, generator=generator, device=device)
        shape = (len(scores), self.draws, scores.shape[1])
        removed = torch.rand(shape, generator=generator, device=device) < share
        lost = question.scores(question.x)[:, None] - question.values(~removed, self.baseline)
        said = torch.einsum("nkg,ng->nk", removed.to(scores), scores)
        if self.scaled:
            tiny = torch.finfo(said.dtype).tiny
            factor = (said * lost).sum(1).clamp_min(0) / said.square().sum(1).clamp_min(tiny)
            said = said * factor[:, None]
        squares = (said - lost).square()
        error = squares.std(1) / self.draws**0.5
        return Judged(value=squares.mean(1), error=error, calls=question.problem.queries)
