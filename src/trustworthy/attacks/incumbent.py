"""The worst point that a search has seen so far for each example."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor


def where(rows: Bool[Tensor, " batch"], x: Tensor, otherwise: Tensor) -> Tensor:
    """The examples of `x` where `rows` is true, those of `otherwise` elsewhere."""
    return torch.where(rows.reshape(-1, *[1] * (x.ndim - 1)), x, otherwise)


class Incumbent:
    """The worst point seen so far for each example: an adversarial one if there is any, then the highest loss."""

    def __init__(self, x: Tensor) -> None:
        self.x = x.clone()
        self.loss = x.new_full((len(x),), -torch.inf)
        self.success = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def update(self, x: Tensor, loss: Tensor, success: Tensor) -> None:
        """Take over the examples of `x` that are worse for the model."""
        better = (success & ~self.success) | ((success == self.success) & (loss > self.loss))
        self.x = where(better, x, self.x)
        self.loss = torch.where(better, loss, self.loss)
        self.success = self.success | success

    def subset(self, chosen: Tensor) -> Incumbent:
        """What is known of some of the examples."""
        part = Incumbent(self.x[chosen])
        part.loss, part.success = self.loss[chosen], self.success[chosen]
        return part

    def merge(self, rows: Tensor, other: Incumbent) -> None:
        """Take over from `other`, which speaks of the examples `rows` alone, what is worse for the model."""
        mine = self.subset(rows)
        mine.update(other.x, other.loss, other.success)
        self.x[rows], self.loss[rows], self.success[rows] = mine.x, mine.loss, mine.success
