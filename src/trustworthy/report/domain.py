"""The kind of the audited inputs, chosen once: their valid range, the units of a radius, and a radius to judge by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trustworthy.core.protocols import Posterior, Predictor, as_posterior, drawn
from trustworthy.core.threat import Bounds

SMALL_GREY = 0.1
"""linf radius for grey images of up to 32 pixels a side: strokes are nearly black and white, a tenth leaves them."""
OTHER_IMAGES = 8 / 255
"""linf radius for all other images, the customary one of CIFAR-10."""
TABLE = 0.1
"""linf radius for tables, in standard deviations of each feature."""
MISSING = 2.0**40
"""What stands for a missing value in the attacked units; it is held, so that it stays what it is."""
L2_SHARE = 0.5
"""Headline l2 radius as a share of the largest l2 length in the linf ball, sqrt(d) * radius."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Domain:
    """What inputs are, and in which units an adversary moves them.

    kind : "image", examples (channels, h, w) in [0, 1], attacked as they are; or "table", examples (features,),
        attacked in standard deviations from the mean of each feature.
    shape : of one example.
    bounds : box of valid inputs, in the attacked units; None without limits.
    units, unit : of a radius, in a sentence and beside a number.
    linf : radius that the summary takes where the plan leaves it to the data.
    center, spread : mean and standard deviation of each feature of a table.
    movable : features of a table that are quantities; words, categories and truth values are held. None for all.
    immutable : columns that no adversary may change, categories included; None for none.
    """

    kind: Literal["image", "table"]
    shape: tuple[int, ...]
    bounds: Bounds | None
    units: str
    unit: str
    linf: float
    center: Float[Tensor, " features"] | None = None
    spread: Float[Tensor, " features"] | None = None
    movable: Bool[Tensor, " features"] | None = None
    immutable: Bool[Tensor, " features"] | None = None

    def headline(self, norm: str) -> float:
        """Radius of the summary in "linf" or "l2", with two significant digits."""
        moved = math.prod(self.shape) if self.movable is None else int(self.movable.sum())
        return self.linf if norm == "linf" else float(f"{L2_SHARE * math.sqrt(max(moved, 1)) * self.linf:.2g}")

    def attacked(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Inputs in the units in which they are attacked."""
        if self.center is None or self.spread is None:
            return x
        return ((x - self.center.to(x)) / self.spread.to(x)).nan_to_num(nan=MISSING)

    def as_given(self, z: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Attacked inputs in the units of the data, in which the model takes them."""
        if self.center is None or self.spread is None:
            return z
        return (self.center.to(z) + self.spread.to(z) * z).masked_fill(z == MISSING, torch.nan)

    def free(self, x: Float[Tensor, "n *shape"]) -> Bool[Tensor, "n *shape"] | None:
        """What an adversary may change of inputs in the units of the data; None for all of it."""
        missing = x.isnan()
        if self.movable is None and not bool(missing.any()):
            return None
        return ~missing if self.movable is None else ~missing & self.movable.to(x.device)

    def asked(self, model: Any) -> Any:
        """`model` as it answers inputs in the attacked units."""
        if self.center is None:
            return model
        return Wrapped(as_posterior(model), lambda predictor, z: predictor(self.as_given(z)))


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A posterior each of whose draws is asked by `ask`, a function of the draw and the inputs."""

    posterior: Posterior
    ask: Callable[[Predictor, Tensor], Tensor]

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterator[Predictor]:
        """Draws of the posterior, each asked through `ask`."""
        return (partial(self.ask, predictor) for predictor in drawn(self.posterior, count, generator))

    def modules(self) -> Iterable[nn.Module]:
        """Modules of the model."""
        return self.posterior.modules()


def images(shape: tuple[int, ...]) -> Domain:
    """Images (channels, h, w) in [0, 1]."""
    small_grey = shape[0] == 1 and max(shape[1:]) <= 32
    return Domain(
        kind="image", shape=shape, bounds=(0.0, 1.0), units="pixel values in [0, 1]", unit="",
        linf=SMALL_GREY if small_grey else OTHER_IMAGES,
    )  # fmt: skip


def table(
    center: Float[Tensor, " features"],
    spread: Float[Tensor, " features"],
    movable: Bool[Tensor, " features"] | None = None,
) -> Domain:
    """Rows of features with these means and standard deviations, of which the `movable` ones are quantities.

    There are no bounds, because a range that the rows happen to have is not a rule of what is possible.
    """
    held = "" if movable is None or bool(movable.all()) else ", categories held"
    return Domain(
        kind="table", shape=tuple(center.shape), bounds=None, units=f"standard deviations of each feature{held}",
        unit="standard deviations", linf=TABLE, center=center, spread=spread, movable=movable,
    )  # fmt: skip
