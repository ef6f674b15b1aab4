"""Robustness-S_r and its complement, Definitions 7.1.1 and 7.1.2, over the share of the features in S_r."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core.predictive import NUMBERS
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria.criterion import Criterion, Curve, Judged, as_shares, tops
from trustworthy.explain.explainer import Explainer, Question
from trustworthy.explain.robustness import Robustness, finite

SHARES = tuple(percent / 100 for percent in range(0, 50, 5))
"""0 to 45 % of the features, as in Table 7.1."""


@dataclass(frozen=True, kw_only=True)
class SubsetRobustness(Criterion):
    """The smallest perturbation that changes the prediction, of the relevant features alone or of all others alone.

    With the most relevant features held, what is left must move far: the curve is high. Moved alone, they change the
    prediction soon: the curve is low.

    Parameters
    ----------
    relevant : perturb the relevant features S_r (lower is better) or hold them and perturb the rest (higher is better).
    shares : of the features in S_r, ascending. Where S_r is empty nothing may move, so that the curve of `relevant`
        begins at the first share above 0.
    robustness : how the distance is searched, in which norm and bounds. It is an upper bound, and a perturbation that
        serves for a set of features is taken over for every larger one of the curve.

    Where nothing that was found changes the prediction the value is `finite`'s, the length of the longest way, and
    `Curve.unbroken` says so. Cost: that of `robustness` for each set of features that differs from the one before.
    """

    relevant: bool
    shares: Sequence[float] = SHARES
    robustness: Robustness = field(default_factory=Robustness)

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = as_shares(self.shares)
        if self.relevant and shares[0] == 0:
            shares = as_shares(shares[1:])
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "name", "robustness" if self.relevant else "robustness-complement")
        object.__setattr__(self, "higher_is_better", not self.relevant)

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        chosen, place = torch.unique_consecutive(tops(attribution, self.shares), dim=1, return_inverse=True)
        # A perturbation of few features is one of more, too: from the smallest set to the largest the value falls.
        found = self._sizes(question, chosen)
        size = _falling(found) if self.relevant else _falling(found.flip(1)).flip(1)
        attack = self.robustness.attack
        covered = question.groups.free(question.groups.present)
        value = finite(size, question.x.where(covered, 0.0), attack.bounds, attack.norm)
        curve = Curve(shares=tuple(self.shares), value=value[:, place], unbroken=size.isinf()[:, place])
        return Judged(value=curve.auc, calls=question.problem.queries, curve=curve)

    def _sizes(self, question: Question, chosen: Bool[Tensor, "n k groups"]) -> Float[Tensor, "n k"]:
        """Distances of all examples, some of them at a time."""
        goal, sizes, calls = question.goal, [], []
        per = max(1, 4 * NUMBERS // (chosen.shape[1] * question.x[:1].numel()))
        for rows in torch.arange(len(chosen), device=chosen.device).split(per):
            groups = question.groups.rows(rows)
            free = groups.free(chosen[rows]) if self.relevant else groups.others(chosen[rows])
            target = None if goal.target is None else goal.target[rows]
            given = {"target": target, "generator": question.generator}
            found = self.robustness(question.model, question.x[rows], goal.y[rows], free, **given)
            sizes.append(found.size)
            calls.append(found.calls)
        question.count(torch.cat(calls))
        return torch.cat(sizes)


def _falling(size: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    return size.cummin(1).values
