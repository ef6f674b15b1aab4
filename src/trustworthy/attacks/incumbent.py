"""The worst point that a search has seen so far for each example."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor


def where(rows: Bool[Tensor, " batch"], x: Tensor, otherwise: Tensor) -> Tensor:
    """The examples of `x` where `rows` is true, those of `otherwise` elsewhere."""
    return torch.where(rows.reshape(-1, *[1] * (x.ndim - 1)), x, otherwise)


class Incumbent:
    """The worst point seen so far for each example: an adversarial one if there is any, then the highest loss.

    Of a noisy model the highest mean loss alone: one answer that happens to be wrong proves nothing, and a point that
    was taken for it would hide all later ones. No example then counts as broken before the search ends.
    """

    def __init__(self, x: Tensor, *, is_noisy: bool = False) -> None:
        self.x, self.is_noisy = x.clone(), is_noisy
        self.loss = x.new_full((len(x),), -torch.inf)
        self.success = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def update(self, x: Tensor, loss: Tensor, success: Tensor) -> None:
        """Take over the examples of `x` that are worse for the model."""
        success = success & (not self.is_noisy)
        better = (success & ~self.success) | ((success == self.success) & (loss > self.loss))
        torch.where(better.reshape(-1, *[1] * (x.ndim - 1)), x, self.x, out=self.x)
        self.loss = torch.where(better, loss, self.loss)
        self.success = self.success | success

    def subset(self, chosen: Tensor) -> Incumbent:
        """What is known of some of the examples."""
        part = Incumbent(self.x[chosen], is_noisy=self.is_noisy)
        part.loss, part.success = self.loss[chosen], self.success[chosen]
        return part

    def merge(self, rows: Tensor, other: Incumbent) -> None:
        """Take over from `other`, which speaks of the examples `rows` alone, what is worse for the model."""
        mine = self.subset(rows)
        mine.update(other.x, other.loss, other.success)
        self.x[rows], self.loss[rows], self.success[rows] = mine.x, mine.loss, mine.success
