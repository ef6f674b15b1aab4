"""What an explanation is: a score for every feature of every example, and their order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.explain.groups import Groups


@dataclass(frozen=True)
class Rule:
    """Features that hold a prediction fixed.

    features : the groups of the rule, as they were found; none where the prediction holds without a rule.
    precision : how often the prediction stays, and `interval` in which that lies.
    coverage : to which share of the inputs the rule applies.
    ranges : of a column of a table the range (above, at most) that the rule names, None of any other feature.
    """

    features: tuple[int, ...]
    precision: float
    interval: tuple[float, float]
    coverage: float
    ranges: tuple[tuple[float, float] | None, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attribution:
    """Scores of the features of each example, larger or further from zero where a feature matters more.

    scores : (n, groups); NaN for absent groups. Methods whose scores have a sign keep it.
    order : (n, groups), groups from the most to the least relevant; absent ones last.
    groups : what a feature is.
    calls : (n,), rows shown to the model for each example, with or without a backward pass, once per draw.
    y : (n,), the class that is explained. target : (n,), the class that it is explained against; None for all others.
    error : (n, groups), standard error of each score where the method samples; None where it does not.
    rules : of each example, where the method finds rules.
    """

    scores: Float[Tensor, "n groups"]
    order: Int[Tensor, "n groups"]
    groups: Groups
    calls: Int[Tensor, " n"]
    y: Int[Tensor, " n"]
    target: Int[Tensor, " n"] | None = None
    error: Float[Tensor, "n groups"] | None = None
    rules: tuple[Rule, ...] | None = None

    @property
    def present(self) -> Bool[Tensor, "n groups"]:
        """Which groups each example has."""
        return self.groups.present.expand(self.scores.shape)

    def top(self, share: float) -> Bool[Tensor, "n groups"]:
        """The most relevant `share`, in [0, 1], of the groups that each example has, rounded to the nearest count."""
        checks.real("share", share, at_least=0.0, at_most=1.0)
        kept = (share * self.present.sum(1) + 0.5).floor().long()
        place = torch.arange(self.order.shape[1], device=self.order.device)
        return torch.zeros_like(self.present).scatter_(1, self.order, place < kept[:, None])

    def map(self) -> Float[Tensor, "n *shape"]:
        """The scores at the coordinates of their groups, 0 where there is none."""
        return self.groups.spread(self.scores.nan_to_num())

    def rows(self, chosen: Int[Tensor, " some"]) -> Attribution:
        """The explanations of some examples."""
        return replace(
            self, scores=self.scores[chosen], order=self.order[chosen], groups=self.groups.rows(chosen),
            calls=self.calls[chosen], y=self.y[chosen],
            target=None if self.target is None else self.target[chosen],
            error=None if self.error is None else self.error[chosen],
            rules=None if self.rules is None else tuple(self.rules[row] for row in chosen.tolist()),
        )  # fmt: skip

    def reversed(self) -> Attribution:
        """The same groups from the least to the most relevant, absent ones last."""
        key = torch.arange(self.order.shape[1], device=self.order.device).expand_as(self.order)
        absent = ~self.present.gather(1, self.order)
        place = torch.where(absent, self.order.shape[1], -key).argsort(dim=1, stable=True)
        return replace(self, scores=-self.scores, order=self.order.gather(1, place))


def ordered(scores: Float[Tensor, "n groups"]) -> Int[Tensor, "n groups"]:
    """Groups from the highest to the lowest score; NaN, of absent groups, last.

    Equal scores are in an order that is drawn once for all: that of the image's lines would favour its top.
    """
    count = scores.shape[1]
    mixed = torch.randperm(count, generator=torch.Generator().manual_seed(count)).to(scores.device)
    falling = (-scores[:, mixed]).nan_to_num(nan=torch.inf, posinf=torch.finfo(scores.dtype).max)
    return mixed[falling.argsort(dim=1, stable=True)]
