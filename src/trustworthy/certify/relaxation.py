"""Bounds of a network over a region, by linear relaxation of what is not affine in it (CROWN) or by intervals.

Pulled back from a node to the input through the linear bounds of `nonlinear`, a functional of the node becomes one of
the input that never exceeds it, and whose least value over the region is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.certify.network import Functionals, Network
from trustworthy.certify.nonlinear import Relaxation
from trustworthy.certify.regions import Box, Region

METHODS = {"crown": True, "interval": False}
"""Whether a method relaxes what is not affine back to the input, beside intervals."""

_NUMBERS = 2**22  # float64 numbers of the largest tensor that is built: 32 MB


@dataclass
class Bounded:
    """A network over a region around `x`, with bounds of the results of all its nodes that are not affine."""

    network: Network
    region: Region
    x: Float[Tensor, "batch *shape"]
    crown: bool
    boxes: dict[int, Box] = field(default_factory=dict, init=False)
    relaxed: dict[int, Relaxation] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Bound each such result, which is monotone, by that of its source, from the first to the last."""
        for node, operation in self.network.nonlinear.items():
            box = self.box(*self.network.nodes[node].sources)
            self.boxes[node] = Box(operation.forward(box.lower), operation.forward(box.upper))
            if self.crown:
                self.relaxed[node] = operation.relaxed(box)

    def least(self, a: Float[Tensor, "some rows classes"]) -> Float[Tensor, "batch rows"]:
        """Lower bounds of functionals of the logits."""
        return self._least(*self.network.pull_back({self.network.output: a}, a.new_zeros(a.shape[:2]), {}))

    def box(self, node: int) -> Box:
        """Bounds of each number of a node's result, a few rows at a time."""
        if node in self.boxes:
            return self.boxes[node]
        shape = self.network.nodes[node].shape
        shared = not (self.crown and self.relaxed)  # before anything is relaxed, all examples have the same functionals
        rows = max(1, _NUMBERS // (2 * (1 if shared else len(self.x)) * self.network.widest))
        bounds = []
        for units in torch.arange(prod(shape), device=self.x.device).split(rows):
            found, constant = self.network.unit_rows(node, units)
            both = {k: torch.cat([a, -a], dim=1) for k, a in found.items()}
            bounds.append(self._least(both, torch.cat([constant, -constant], dim=1)).unflatten(1, (2, -1)))
        lower, upper = torch.cat(bounds, dim=2).unflatten(2, shape).unbind(1)
        self.boxes[node] = Box(lower, -upper)
        return self.boxes[node]

    def _least(self, found: Functionals, constant: Float[Tensor, "some rows"]) -> Float[Tensor, "batch rows"]:
        """Lower bounds of functionals of the input and of results that are not affine, plus constants."""
        bound = constant + sum((self.boxes[k] if k else self.region).least(a) for k, a in found.items())
        if not self.crown or found.keys() == {0}:
            return bound
        found, constant = self.network.pull_back(found, constant, self.relaxed)
        return torch.maximum(bound, self.region.least(found[0]) + constant)


def batches(network: Network, rows: Tensor) -> tuple[Tensor, ...]:
    """`rows` of a batch in pieces that bound the memory: a functional for each logit of each example fits."""
    return rows.split(max(1, _NUMBERS // (prod(network.nodes[-1].shape) * network.widest)))
