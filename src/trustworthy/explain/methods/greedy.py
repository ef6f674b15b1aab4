"""In each step the features that change the distance most: each alone (Greedy), or on average (Greedy-AS)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.explain.aggregation import aggregation, drawn_coalitions
from trustworthy.explain.selection import Game, Selection, Weighed


@dataclass(frozen=True, kw_only=True)
class Greedy(Selection):
    """The argmax or argmin of (7.5) in each step; the first `share` of all features of them.

    Scores are what each feature adds to the distance, or takes from it, in the step that chose it, moved by a constant
    of the step so that they fall in the order of choice. Reference: the dissertation, section 7.2.1.

    Cost: for each feature left in each step `linearisations` gradients, and a search per step.
    """

    def weigh(self, game: Game, row: int, chosen: Bool[Tensor, " groups"], candidates: Int[Tensor, " some"]) -> Weighed:
        sets = chosen.repeat(len(candidates) + 1, 1)
        sets[torch.arange(len(candidates)), candidates] = True
        values = game.values(row, sets).double()
        return values[:-1] - values[-1], None


@dataclass(frozen=True, kw_only=True)
class GreedyAS(Selection):
    """The features with the largest coefficients of the regression (7.6) in each step.

    Scores are the coefficients in the step that chose a feature, for "relevant" their negatives, moved by a constant of
    the step so that they fall in the order of choice; `error` is their standard error. Features that only together
    matter, which Greedy overlooks, are seen in coalitions. Reference: the dissertation, section 7.2.2.

    Parameters
    ----------
    coalitions : drawn in each step; all of them, exactly, where they are no more than that. None takes three for each
        feature that is left, at least 512: with half of that rankings are worse, with ten they are no better.
    inclusion : probability with which a coalition holds each of the features that are left, in (0, 1). 1/2 makes the
        coefficients Banzhaf values; the released code has 0.2.
    objective, share, until, linearisations, robustness : see `Selection`.

    Random: the coalitions. Cost: in each step `coalitions * linearisations` gradients and a search.
    """

    coalitions: int | None = None
    inclusion: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coalitions is not None:
            checks.integer("coalitions", self.coalitions, at_least=2)
        checks.fraction("inclusion", self.inclusion)

    def weigh(self, game: Game, row: int, chosen: Bool[Tensor, " groups"], candidates: Int[Tensor, " some"]) -> Weighed:
        count = self.coalitions or max(512, 3 * len(candidates))
        drawn = drawn_coalitions(len(candidates), count, self.inclusion, game.question.generator, chosen.device)
        sets = chosen.repeat(len(drawn), 1)
        sets[:, candidates] = drawn
        return aggregation(game.values(row, sets), drawn)
