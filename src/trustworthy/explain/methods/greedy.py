"""Greedy: in each step the features that change the distance most when each is added alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

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
