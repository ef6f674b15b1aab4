"""The kind of the audited inputs, chosen once: their valid range, the units of a radius, and a radius to judge by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core.grid import Grid, rounding
from trustworthy.core.protocols import Wrapped, as_posterior
from trustworthy.core.threat import Bounds
from trustworthy.report.columns import Feature

SMALL_GREY = 0.1
"""linf radius for grey images of up to 32 pixels a side: strokes are nearly black and white, a tenth leaves them."""
OTHER_IMAGES = 8 / 255
"""linf radius for all other images, the customary one of CIFAR-10."""
TABLE = 0.1
"""linf radius for tables, in standard deviations of each feature, and for texts, in those of an embedding."""
MISSING = 2.0**40
"""What stands for a missing value in the attacked units; it is held, so that it stays what it is."""
L2_SHARE = 0.5
"""Headline l2 radius as a share of the largest l2 length in the linf ball, sqrt(d) * radius."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Domain:
    """What inputs are, and in which units an adversary moves them.

    kind : "image", examples (channels, h, w) in [0, 1], attacked as they are; "table", examples (features,), attacked
        in standard deviations from the mean of each feature; or "text", embeddings (tokens, width) with zeros for
        padding, attacked in standard deviations of all of them, padding held.
    shape : of one example.
    bounds : box of valid inputs, in the attacked units; None without limits.
    units, unit : of a radius, in a sentence and beside a number.
    linf : radius that the summary takes where the plan leaves it to the data.
    center, spread : mean and standard deviation of each feature of a table, 0 and 1 of one that is no quantity; zero
        and one number for embeddings.
    movable : features of a table that are quantities; words, categories and truth values are held. None for all.
    immutable : columns that no adversary may change, categories included; None for none.
    low, high : range of the values of each feature, in its own unit; an infinity where there is no limit.
    step : of each feature, in its own unit, counted from the value of each example; 0 where it moves continuously.
    whole : features all of whose values are whole numbers.
    moved : coordinates that can move in a typical example, where it is not all of them or all that are `changeable`.
    """

    kind: Literal["image", "table", "text"]
    shape: tuple[int, ...]
    bounds: Bounds | None
    units: str
    unit: str
    linf: float
    center: Float[Tensor, "*features"] | None = None
    spread: Float[Tensor, "*features"] | None = None
    movable: Bool[Tensor, " features"] | None = None
    immutable: Bool[Tensor, " features"] | None = None
    low: Float[Tensor, " features"] | None = None
    high: Float[Tensor, " features"] | None = None
    step: Float[Tensor, " features"] | None = None
    whole: Bool[Tensor, " features"] | None = None
    moved: int | None = None

    def headline(self, norm: str) -> float:
        """Radius of the summary in "linf" or "l2", with two significant digits.

        Where no feature has a step as short, it is the shortest step.
        """
        moved = self.moved or (math.prod(self.shape) if self.changeable is None else int(self.changeable.sum()))
        linf = max(self.linf, self._shortest_step)
        if norm == "linf":
            return linf
        return max(float(f"{L2_SHARE * math.sqrt(max(moved, 1)) * linf:.2g}"), self._shortest_step)

    @cached_property
    def changeable(self) -> Bool[Tensor, " features"] | None:
        """Features of a table that are quantities and not immutable; None for all."""
        if self.movable is None or self.immutable is None:
            return self.movable if self.immutable is None else ~self.immutable
        return self.movable & ~self.immutable

    @cached_property
    def grid(self) -> Grid | None:
        """The values that features may take, in the attacked units; None for all."""
        if self.low is None or self.high is None or self.step is None:
            return None
        assert self.center is not None
        assert self.spread is not None
        low, high = ((end - self.center) / self.spread for end in (self.low, self.high))
        return Grid(low=low, high=high, step=self.step / self.spread)

    @cached_property
    def _shortest_step(self) -> float:
        """In the attacked units, rounded up to two significant digits; 0 where a feature moves continuously."""
        if self.grid is None:
            return 0.0
        steps = self.grid.step if self.changeable is None else self.grid.step[self.changeable]
        shortest = float(steps.min()) if len(steps) else 0.0
        digit = 10.0 ** (math.floor(math.log10(shortest)) - 1) if shortest else 1.0
        return float(f"{math.ceil(shortest / digit * (1 - 1e-9)) * digit:.2g}")

    def attacked(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Inputs in the units in which they are attacked."""
        if self.center is None or self.spread is None:
            return x
        return ((x - self.center.to(x)) / self.spread.to(x)).nan_to_num(nan=MISSING)

    def as_given(self, z: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Attacked inputs in the units of the data, in which the model takes them."""
        if self.center is None or self.spread is None:
            return z
        center = self.center.to(z)
        given = (center + self.spread.to(z) * z).masked_fill(z == MISSING, torch.nan)
        if self.whole is None:
            return given
        # What is whole but for the rounding of the units; the difference is a constant, whose gradient is zero.
        off = (given.round() - given).detach()
        near = self.whole.to(z.device) & (off.abs() <= 4 * rounding(z) * (center.abs() + given.detach().abs()))
        return given + off.where(near, 0.0)

    def free(self, x: Float[Tensor, "n *shape"]) -> Bool[Tensor, "n *shape"] | None:
        """What an adversary may change of inputs in the units of the data; None for all of it."""
        if self.kind == "text":
            return (x != 0).any(-1, keepdim=True).expand_as(x)
        free = ~x.isnan() if self.changeable is None else ~x.isnan() & self.changeable.to(x.device)
        return None if bool(free.all()) else free

    def asked(self, model: Any) -> Any:
        """`model` as it answers inputs in the attacked units."""
        if self.center is None:
            return model
        return Wrapped(as_posterior(model), lambda predictor, z: predictor(self.as_given(z)))


def images(shape: tuple[int, ...]) -> Domain:
    """Images (channels, h, w) in [0, 1]."""
    small_grey = shape[0] == 1 and max(shape[1:]) <= 32
    return Domain(
        kind="image", shape=shape, bounds=(0.0, 1.0), units="pixel values in [0, 1]", unit="",
        linf=SMALL_GREY if small_grey else OTHER_IMAGES,
    )  # fmt: skip


def table(
    center: Float[Tensor, " features"], spread: Float[Tensor, " features"], features: Sequence[Feature]
) -> Domain:
    """Rows of these features with these means and standard deviations.

    There are no bounds that all features share: each moves inside its own range.
    """

    def each(name: str) -> Tensor:
        return torch.tensor([getattr(feature, name) for feature in features])

    movable, immutable = each("is_quantity"), each("immutable")
    moved = [feature for feature in features if feature.is_quantity and not feature.immutable]
    ranges = " or ".join(sorted({"given" if feature.given else "observed" for feature in moved}, reverse=True))
    within = f", within {ranges} ranges" if moved else ""
    kept = any(feature.is_quantity and feature.immutable and feature.low < feature.high for feature in features)
    held = " and ".join(["categories"] * (not bool(movable.all())) + ["immutable columns"] * kept)
    return Domain(
        kind="table", shape=tuple(center.shape), bounds=None, linf=TABLE, unit="standard deviations",
        units=f"standard deviations of each feature{within}{f', {held} held' if held else ''}",
        center=center.where(movable, 0.0), spread=spread.where(movable, 1.0),
        movable=None if bool(movable.all()) else movable, immutable=immutable if bool(immutable.any()) else None,
        low=each("low").to(center), high=each("high").to(center), step=each("step").to(center), whole=each("whole"),
    )  # fmt: skip


def texts(x: Float[Tensor, "n tokens width"]) -> Domain:
    """Embeddings of the tokens of some texts, with zeros for padding."""
    tokens = (x != 0).any(-1)
    spread = x[tokens].std()
    return Domain(
        kind="text", shape=tuple(x.shape[1:]), bounds=None, units="standard deviations of the embeddings",
        unit="standard deviations", linf=TABLE, center=torch.zeros_like(spread), spread=spread,
        moved=int(tokens.sum(1).median()) * x.shape[2],
    )  # fmt: skip
