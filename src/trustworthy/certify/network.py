"""A network as a graph of affine and monotone operations, through which functionals are pulled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from trustworthy.certify.affine import AffineMap, Shape
from trustworthy.certify.nonlinear import Nonlinear, Relaxation
from trustworthy.core.errors import ModelContractError

Functionals = dict[int, Tensor]
"""Functionals (some, rows, *shape) of the results of some nodes, whose sum is meant."""

_KEPT = 2**23  # float64 numbers of a matrix that is kept: 64 MB


class Input:
    """The input of the network, from which nothing is computed."""

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        return x


@dataclass(frozen=True)
class Node:
    """An operation on the results of earlier nodes.

    shape : of one example's result.
    bias : what an affine operation makes of zero; None for 0 and for an operation that is not affine.
    """

    operation: AffineMap | Nonlinear | Input
    sources: tuple[int, ...]
    shape: Shape
    bias: Float[Tensor, "*shape"] | None = None

    def pull_back(
        self, a: Float[Tensor, "some rows *outputs"], relaxed: Relaxation | None
    ) -> tuple[Float[Tensor, "batch rows *inputs"], Float[Tensor, "batch rows"] | float] | None:
        """Functionals of the result as those of each source, and constants; None where there is no way."""
        if not isinstance(self.operation, AffineMap):
            return relaxed and relaxed.pull_back(a)
        pulled = self.operation.pull_back(a.flatten(0, 1)).unflatten(0, a.shape[:2])
        return pulled, 0.0 if self.bias is None else a.flatten(2) @ self.bias.flatten()


@dataclass(frozen=True)
class Network:
    """Nodes, each after its sources: the first is the input, the last puts out the logits."""

    nodes: tuple[Node, ...]
    _units: dict[int, tuple[Functionals, Tensor]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def output(self) -> int:
        """Number of the last node."""
        return len(self.nodes) - 1

    @cached_property
    def nonlinear(self) -> dict[int, Nonlinear]:
        """The operations that are not affine, by the numbers of their nodes."""
        return {k: node.operation for k, node in enumerate(self.nodes) if isinstance(node.operation, Nonlinear)}

    @cached_property
    def neurons(self) -> int:
        """Numbers that a ReLU or a pooling takes from affine operations, each of which is bounded by itself."""
        bounded = {k for node in self.nonlinear for k in self.nodes[node].sources} - self.nonlinear.keys()
        return sum(prod(self.nodes[k].shape) for k in bounded)

    @cached_property
    def widest(self) -> int:
        """Numbers in the largest of all results, the input included."""
        return max(prod(node.shape) for node in self.nodes)

    def results(self, x: Float[Tensor, "batch *shape"]) -> list[Tensor]:
        """The result (batch, *shape) of every node."""
        found = [x]
        for node in self.nodes[1:]:
            found.append(node.operation.forward(*(found[k] for k in node.sources)))
        return found

    def pull_back(
        self, found: Functionals, constant: Float[Tensor, "some rows"], relaxed: Mapping[int, Relaxation]
    ) -> tuple[Functionals, Float[Tensor, "batch rows"]]:
        """Functionals of some nodes as functionals of earlier ones that never exceed them, and constants.

        The way back ends at the input and at what is not affine and not `relaxed`. `constant` is added.
        """
        waiting, ends = dict(found), {}
        for k in reversed(range(len(self.nodes))):
            if k not in waiting:
                continue
            a = waiting.pop(k)
            step = self.nodes[k].pull_back(a, relaxed.get(k))
            if step is None:
                ends[k] = a
                continue
            pulled, added = step
            constant = constant + added
            for source in self.nodes[k].sources:
                waiting[source] = waiting[source] + pulled if source in waiting else pulled
        return ends, constant

    def unit_rows(self, node: int, units: Int[Tensor, " rows"]) -> tuple[Functionals, Float[Tensor, "1 rows"]]:
        """The chosen numbers of a node's result, flattened, as functionals of the nearest ends, and constants."""
        count = prod(self.nodes[node].shape)
        if count * self.widest > _KEPT:
            return self._pulled(node, units)
        if node not in self._units:  # kept between one radius and the next
            self._units[node] = self._pulled(node, torch.arange(count, device=units.device))
        found, constant = self._units[node]
        return {k: a[:, units] for k, a in found.items()}, constant[:, units]

    def _pulled(self, node: int, units: Tensor) -> tuple[Functionals, Tensor]:
        shape = self.nodes[node].shape
        unit = F.one_hot(units, prod(shape)).double().reshape(1, -1, *shape)
        return self.pull_back({node: unit}, unit.new_zeros(1, len(units)), {})


def check_agreement(read_logits: Tensor, logits: Tensor) -> None:
    """Refuse a model that computes something else than what was read, because it draws at random for example."""
    scale = 1.0 + float(logits.abs().max())
    if float((read_logits - logits).abs().max()) > torch.finfo(logits.dtype).eps ** 0.5 * scale:
        raise ModelContractError(
            "the model's answer differs from what its operations compute for one example; remove randomness, choices "
            "that depend on the input, and layers in which examples depend on each other."
        )
