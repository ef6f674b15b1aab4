"""Curves over the share of the features that count as relevant, and the area under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.explain.attribution import Attribution


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """One number per example where the most relevant share of its features is treated apart from the rest.

    shares : of the features, ascending, in [0, 1].
    value : (n, points), finite.
    unbroken : (n, points), where nothing that was found changes the prediction, so that `value` stands for inf; None
        for curves that know no such thing.
    """

    shares: tuple[float, ...]
    value: Float[Tensor, "n points"]
    unbroken: Bool[Tensor, "n points"] | None = None

    @property
    def auc(self) -> Float[Tensor, " n"]:
        """Area under the curve of each example by trapezoids, shares in percent as in Table 7.1."""
        return torch.trapezoid(self.value, 100.0 * self.value.new_tensor(self.shares))


def as_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Check at least two shares in [0, 1], ascending."""
    found = tuple(checks.real("shares", share, at_least=0.0, at_most=1.0) for share in shares)
    if len(found) < 2 or any(after <= before for before, after in pairwise(found)):
        raise InvalidInput(f"shares must be at least two, each greater than the one before, got {list(shares)!r}.")
    return found


def tops(attribution: Attribution, shares: Sequence[float]) -> Bool[Tensor, "n points groups"]:
    """The most relevant groups of each example at each share; each set holds the ones before it."""
    return torch.stack([attribution.top(share) for share in shares], dim=1)
