"""Bounds of a ReLU network over a region, by linear relaxation of its ReLUs (CROWN) or by intervals.

A ReLU whose input lies in [l, u] with l < 0 < u lies between two lines: above a z with a = 1 if u >= -l, else 0, and
below u (z - l) / (u - l). Pulled back from a layer to the input through such lines, a functional of that layer becomes
one of the input that never exceeds it, and whose least value over the region is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.certify.network import Block, widest
from trustworthy.certify.regions import Box, Region

METHODS = {"crown": True, "interval": False}
"""Whether a method relaxes all ReLUs back to the input, beside intervals."""

_NUMBERS = 2**22  # float64 numbers of the largest tensor that is built: 32 MB


@dataclass(frozen=True)
class Lines:
    """The lines below and above a ReLU: slopes, and the intercept of the upper one."""

    lower: Float[Tensor, "batch *shape"]
    upper: Float[Tensor, "batch *shape"]
    intercept: Float[Tensor, "batch *shape"]

    def pull_back(
        self, a: Float[Tensor, "some rows *shape"]
    ) -> tuple[Float[Tensor, "batch rows *shape"], Float[Tensor, "batch rows"]]:
        """Functionals of the ReLU's outputs as functionals of its inputs that never exceed them, and constants."""
        constant = torch.einsum("brd,bd->br", a.clamp_max(0.0).flatten(2), self.intercept.flatten(1))
        slope = torch.where(a > 0, self.lower[:, None], self.upper[:, None])
        return slope.mul_(a), constant


def lines(box: Box) -> Lines:
    """The relaxation of a ReLU whose inputs lie in `box`."""
    low, high = box.lower, box.upper
    crosses = (low < 0) & (high > 0)
    active = (low >= 0).to(low)
    upper = torch.where(crosses, high / torch.where(crosses, high - low, 1.0), active)
    lower = torch.where(crosses, (high >= -low).to(low), active)
    return Lines(lower, upper, torch.where(crosses, -low * upper, 0.0))


def pull_to_input(
    blocks: Sequence[Block],
    relus: Sequence[Lines],
    a: Float[Tensor, "some rows *inputs"],
    constant: Float[Tensor, "some rows"],
) -> tuple[Float[Tensor, "batch rows *shape"], Float[Tensor, "batch rows"]]:
    """Functionals of what the last ReLU puts out as functionals of the input that never exceed them, and constants.

    Each ReLU follows its block. `constant` is added.
    """
    for block, relu in zip(reversed(blocks), reversed(relus), strict=True):
        a, lost = relu.pull_back(a)
        a, added = block.pull_back(a)
        constant = constant + lost + added
    return a, constant


@dataclass(frozen=True)
class Bounded:
    """A network over a region, with bounds of the inputs of its first ReLUs; `next` is the block after the last one."""

    blocks: tuple[Block, ...]
    region: Region
    crown: bool
    boxes: tuple[Box, ...] = ()
    relus: tuple[Lines, ...] = ()

    @property
    def next(self) -> Block:
        """The block whose outputs can be bounded."""
        return self.blocks[len(self.boxes)]

    def least(self, a: Float[Tensor, "some rows *outputs"]) -> Float[Tensor, "batch rows"]:
        """Lower bounds of functionals of the outputs of the next block."""
        return self._least(*self.next.pull_back(a))

    def box(self, batch: int) -> Box:
        """Bounds of each output of the next block, a few rows at a time."""
        bias = self.next.bias.flatten()
        shared = not (self.crown and self.boxes)  # before a ReLU is relaxed, all examples have the same functionals
        rows = max(1, _NUMBERS // (2 * (1 if shared else batch) * widest(self.blocks)))
        bounds = []
        for units in torch.arange(len(bias), device=bias.device).split(rows):
            a, constant = self.next.unit_rows(units), bias[units]
            least = self._least(torch.cat([a, -a], dim=1), torch.cat([constant, -constant])[None])
            bounds.append(least.unflatten(1, (2, -1)))
        lower, upper = torch.cat(bounds, dim=2).unflatten(2, self.next.outputs).unbind(1)
        return Box(lower, -upper)

    def _least(
        self, a: Float[Tensor, "some rows *inputs"], constant: Float[Tensor, "some rows"]
    ) -> Float[Tensor, "batch rows"]:
        """Lower bounds of functionals of the inputs of the next block, plus constants."""
        if not self.boxes:
            return self.region.least(a) + constant
        bound = self.boxes[-1].rectified().least(a) + constant
        if not self.crown:
            return bound
        a, constant = pull_to_input(self.blocks[: len(self.relus)], self.relus, a, constant)
        return torch.maximum(bound, self.region.least(a) + constant)


def bounded(blocks: tuple[Block, ...], region: Region, method: str, batch: int) -> Bounded:
    """Bound the inputs of every ReLU, from the first to the last."""
    found = Bounded(blocks, region, METHODS[method])
    for _ in blocks[1:]:
        box = found.box(batch)
        relus = (*found.relus, lines(box)) if found.crown else ()
        found = Bounded(blocks, region, found.crown, (*found.boxes, box), relus)
    return found


def batches(blocks: tuple[Block, ...], rows: Tensor) -> tuple[Tensor, ...]:
    """`rows` of a batch in pieces that bound the memory: a functional for each logit of each example fits."""
    return rows.split(max(1, _NUMBERS // (prod(blocks[-1].outputs) * widest(blocks))))
