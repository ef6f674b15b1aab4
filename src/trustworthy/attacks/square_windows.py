"""Where and how the Square Attack changes an input: random windows of images, random subsets of features.

An example is seen as (groups, positions): the channels and pixels of an image, or one group of features. Every draw
is one array without a batch axis, so all examples of a batch try the same windows; where masks differ, each example
has its own form of the same draw, so that its result does not depend on its companions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import Examples, Free


@dataclass(frozen=True)
class Window:
    """Positions to change, as a mask (1, 1, positions), and the pattern of that shape that an l2 change adds there.

    With a mask of what is free they are (batch, groups, positions), and false or zero where nothing may change.
    """

    mask: Tensor
    pattern: Tensor


@dataclass(frozen=True)
class AbstractLayout(ABC):
    """How the coordinates of one example neighbour each other; `free` (batch, groups, positions) or None for all."""

    groups: int
    positions: int
    device: torch.device
    dtype: torch.dtype
    free: Bool[Tensor, "batch groups positions"] | None = None

    @abstractmethod
    def window(self, share: float, generator: torch.Generator | None) -> Window:
        """A random window that covers about `share` of the positions; with a mask, some of what is free."""

    @abstractmethod
    def signs(self, generator: torch.Generator | None) -> Tensor:
        """Random signs for the content of a window, broadcasting to (groups, positions)."""

    def stripes(self, generator: torch.Generator | None) -> Tensor:
        """Random signs (groups, positions) to begin with in linf."""
        return self.signs(generator)

    def tiles(self, generator: torch.Generator | None) -> Tensor:
        """Random pattern (groups, positions) to begin with in l2."""
        return self.signs(generator)

    def subset(self, rows: Tensor) -> AbstractLayout:
        """The layout of some of the examples."""
        return self if self.free is None else replace(self, free=self.free[rows])

    def spread(self, values: Tensor, x: Examples) -> Tensor:
        """What broadcasts to (groups, positions) in the shape of the examples `x`, with a batch axis of one or all."""
        values = values if values.ndim == 3 else values[None]
        return values.expand(-1, self.groups, self.positions).reshape(-1, *x.shape[1:])

    def random_signs(self, *shape: int, generator: torch.Generator | None) -> Tensor:
        """Signs of this device and type."""
        return (2 * torch.randint(2, shape, generator=generator, device=self.device) - 1).to(self.dtype)

    @cached_property
    def open(self) -> Bool[Tensor, "batch positions"]:
        """Positions at which something is free."""
        assert self.free is not None
        return self.free.any(1)

    def masked(self, inside: Bool[Tensor, "_ positions"], pattern: Float[Tensor, "_ positions"]) -> Window:
        """A window of the positions `inside`, without what may not change."""
        mask, pattern = inside[:, None], pattern[:, None]
        return Window(mask, pattern) if self.free is None else Window(mask & self.free, pattern * self.free)


LAYOUTS: dict[str, None] = dict.fromkeys(("auto", "image", "features"))


def layout_of(x: Examples, layout: str = "auto", free: Free = None) -> AbstractLayout:
    """The layout of the examples of `x`; "auto" takes (channels, height, width) for images, all else for features."""
    shape = x.shape[1:]
    is_image = layout == "image" or (layout == "auto" and len(shape) == 3)
    if is_image and len(shape) not in (2, 3):
        raise InvalidInput(
            "layout must be 'features' for examples that are neither (channels, height, width) nor (height, width), "
            f"got 'image' for {tuple(shape)}."
        )
    groups = shape[:-2].numel() if is_image else 1
    positions = shape.numel() // groups
    mask = None if free is None else free.reshape(len(x), groups, positions)
    seen = groups, positions, x.device, x.dtype, mask
    return Image(*seen, height=shape[-2], width=shape[-1]) if is_image else Features(*seen)


@dataclass(frozen=True)
class Image(AbstractLayout):
    """Square windows; one sign per channel and window; vertical stripes to begin with."""

    height: int = 1
    width: int = 1

    def window(self, share: float, generator: torch.Generator | None) -> Window:
        side = max(1, min(round((share * self.positions) ** 0.5), self.height, self.width))
        top, left, turned = (
            torch.randint(high, (), generator=generator, device=self.device)
            for high in (self.height - side + 1, self.width - side + 1, 2)
        )
        if self.free is None:
            tops, lefts, sides, which = top[None], left[None], [side], torch.zeros_like(top)[None]
        else:
            tops, lefts, each = self.within_the_open(top, left, side, share)
            kinds, which = each.unique(return_inverse=True)
            sides = kinds.tolist()
        bumps = torch.zeros(len(sides), max(sides), max(sides), device=self.device, dtype=self.dtype)
        for k, side in enumerate(sides):
            bump = opposite_bumps(side, self.device, self.dtype)
            bumps[k, :side, :side] = torch.where(turned.bool(), bump.T, bump)
        rows = torch.arange(self.height, device=self.device) - tops[:, None]  # (batch, height), from the window's top
        columns = torch.arange(self.width, device=self.device) - lefts[:, None]
        length = torch.tensor(sides, device=self.device)[which][:, None]
        inside = ((rows >= 0) & (rows < length))[:, :, None] & ((columns >= 0) & (columns < length))[:, None]
        last = max(sides) - 1
        pattern = bumps[which[:, None, None], rows.clamp(0, last)[:, :, None], columns.clamp(0, last)[:, None]] * inside
        return self.masked(inside.flatten(1), pattern.flatten(1))

    @cached_property
    def boxes(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """First row, first column, height and width (batch,) of the smallest rectangle around what is open."""
        image = self.open.reshape(-1, self.height, self.width)
        rows, columns = image.any(2).int(), image.any(1).int()
        top, left = rows.argmax(1), columns.argmax(1)  # the first of several
        height = self.height - rows.flip(1).argmax(1) - top
        return top, left, height, self.width - columns.flip(1).argmax(1) - left

    def within_the_open(self, top: Tensor, left: Tensor, side: int, share: float) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and sides (batch,) of a window drawn for the whole image, moved into each example's rectangle.

        Where a window would hold nothing open, it moves on to the open position nearest to its centre.
        """
        first_row, first_column, height, width = self.boxes
        sides = (share * (height * width).double()).sqrt().round().long().clamp_min(1)
        sides = torch.minimum(sides, torch.minimum(height, width))
        ways = (height - sides, width - sides)
        tops = first_row + top * (ways[0] + 1) // (self.height - side + 1)
        lefts = first_column + left * (ways[1] + 1) // (self.width - side + 1)
        positions = torch.arange(self.positions, device=self.device)
        rows, columns = positions // self.width, positions % self.width
        middle = (sides - 1).to(self.dtype) / 2
        away = torch.maximum(
            (rows - (tops + middle)[:, None]).abs(), (columns - (lefts + middle)[:, None]).abs()
        ).masked_fill(~self.open, torch.inf)  # (batch, positions)
        nearest = away.argmin(1)
        held = away.amin(1) > middle
        moved_top = torch.minimum((rows[nearest] - sides // 2).clamp_min(first_row), first_row + ways[0])
        moved_left = torch.minimum((columns[nearest] - sides // 2).clamp_min(first_column), first_column + ways[1])
        return torch.where(held, moved_top, tops), torch.where(held, moved_left, lefts), sides

    def signs(self, generator: torch.Generator | None) -> Tensor:
        return self.random_signs(self.groups, 1, generator=generator)

    def stripes(self, generator: torch.Generator | None) -> Tensor:
        column = self.random_signs(self.groups, 1, self.width, generator=generator)
        return column.expand(-1, self.height, -1).reshape(self.groups, -1)

    def tiles(self, generator: torch.Generator | None) -> Tensor:
        side = max(1, min(self.height, self.width) // 5)
        rows = torch.arange(self.height, device=self.device)
        columns = torch.arange(self.width, device=self.device)
        pattern = opposite_bumps(side, self.device, self.dtype)[rows % side][:, columns % side]
        counts = (-(-self.height // side), -(-self.width // side))
        signs = self.random_signs(self.groups, *counts, generator=generator)
        return (signs[:, rows // side][:, :, columns // side] * pattern).reshape(self.groups, -1)


@dataclass(frozen=True)
class Features(AbstractLayout):
    """Random subsets of features, which have no neighbours; one sign per feature."""

    def window(self, share: float, generator: torch.Generator | None) -> Window:
        order = torch.randperm(self.positions, generator=generator, device=self.device)
        examples = 1 if self.free is None else len(self.free)
        chosen = torch.zeros(examples, self.positions, dtype=torch.bool, device=self.device)
        if self.free is None:
            chosen[0, order[: max(1, round(share * self.positions))]] = True
        else:
            ahead = self.open[:, order]
            count = (share * ahead.sum(1, keepdim=True).double()).round().clamp_min(1)
            chosen[:, order] = ahead & (ahead.cumsum(1) <= count)
        return self.masked(chosen, chosen.to(self.dtype))

    def signs(self, generator: torch.Generator | None) -> Tensor:
        return self.random_signs(1, self.positions, generator=generator)


def opposite_bumps(side: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "side side"]:
    """Two neighbouring halves of a square, each peaked at its centre, of opposite sign."""
    half = side // 2
    left = _bump(side, half, device, dtype)
    return torch.cat([left, -_bump(side, side - half, device, dtype)], dim=1)


def _bump(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Concentric rectangles whose height grows towards the centre as the sum of 1 / (n + 1 - k)^2 over rings k."""
    n = height // 2
    levels = (1.0 / (n + 1 - torch.arange(n + 1, device=device, dtype=dtype)) ** 2).cumsum(0)
    row = (torch.arange(height, device=device) - height // 2).abs()
    column = (torch.arange(width, device=device) - width // 2).abs()
    return levels[n - torch.maximum(row[:, None], column[None, :])]
