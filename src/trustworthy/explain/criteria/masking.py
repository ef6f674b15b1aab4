"""Insertion and deletion: the probability of a class as its features are put in or removed, the most relevant first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria.criterion import Criterion, Curve, Judged, as_shares, tops
from trustworthy.explain.explainer import Baseline, Explainer, Question

SHARES = tuple(percent / 100 for percent in range(0, 105, 5))


@dataclass(frozen=True, kw_only=True)
class Masking(Criterion):
    """The probability of the explained class where the most relevant features alone are there, or where they are gone.

    With a target it is that of the explained class among the two. A feature that is gone is at the baseline, an input
    that the model may never have seen; the two curves are as much about that choice as about the explanation.

    Parameters
    ----------
    insert : put the relevant features in (higher is better) or remove them (lower is better).
    baseline : what a missing feature looks like, in the units of the input.
    shares : of the features that are put in or removed, ascending.

    Cost: one forward pass per share. Reference: Petsiuk et al. 2018.
    """

    insert: bool
    baseline: Baseline = 0.0
    shares: Sequence[float] = SHARES

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shares", as_shares(self.shares))
        object.__setattr__(self, "name", "insertion" if self.insert else "deletion")
        object.__setattr__(self, "higher_is_better", self.insert)

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        chosen = tops(attribution, self.shares)
        kept = chosen if self.insert else attribution.present[:, None] & ~chosen
        points = [_probability(question, *question.kept(some, self.baseline)) for some in kept.split(1, dim=1)]
        curve = Curve(shares=tuple(self.shares), value=torch.stack(points, dim=1))
        return Judged(value=curve.auc, calls=question.problem.queries, curve=curve)


def _probability(question: Question, points: Tensor, rows: Tensor) -> Float[Tensor, " n"]:
    probabilities, goal = question.probabilities(points, rows), question.goal
    own = probabilities.gather(1, goal.y[:, None]).squeeze(1)
    if goal.target is None:
        return own
    return own / (own + probabilities.gather(1, goal.target[:, None]).squeeze(1))
