"""Where and how the Square Attack changes an input: random windows of images, random subsets of features.

An example is seen as (groups, positions): the channels and pixels of an image, or one group of features. Every draw
is one array without a batch axis, so all examples of a batch try the same windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Positions to change, as a mask (1, positions), and the pattern (1, positions) that an l2 change adds there."""

    mask: Tensor
    pattern: Tensor


class AbstractLayout(ABC):
    """How the coordinates of one example neighbour each other."""

    groups: int
    positions: int

    @abstractmethod
    def window(self, share: float, generator: torch.Generator | None) -> Window:
        """A random window that covers about `share` of the positions."""

    @abstractmethod
    def signs(self, generator: torch.Generator | None) -> Tensor:
        """Random signs for the content of a window, broadcasting to (groups, positions)."""

    @abstractmethod
    def stripes(self, generator: torch.Generator | None) -> Tensor:
        """Random signs (groups, positions) to begin with in linf."""

    @abstractmethod
    def tiles(self, generator: torch.Generator | None) -> Tensor:
        """Random pattern (groups, positions) to begin with in l2."""


def layout_of(x: Float[Tensor, "batch *shape"]) -> AbstractLayout:
    """Images for examples (channels, height, width) or (height, width), features for everything else."""
    if x.ndim in (3, 4):
        return Image(x[0].numel() // (x.shape[-1] * x.shape[-2]), x.shape[-2], x.shape[-1], x.device, x.dtype)
    return Features(x[0].numel(), x.device, x.dtype)


def _random_signs(*shape: int, layout: Image | Features, generator: torch.Generator | None) -> Tensor:
    drawn = torch.randint(2, shape, generator=generator, device=layout.device)
    return (2 * drawn - 1).to(layout.dtype)


@dataclass(frozen=True)
class Image(AbstractLayout):
    """Square windows; one sign per channel and window; vertical stripes to begin with."""

    groups: int
    height: int
    width: int
    device: torch.device
    dtype: torch.dtype

    @property
    def positions(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.height * self.width

    def window(self, share: float, generator: torch.Generator | None) -> Window:
        side = max(1, min(round((share * self.positions) ** 0.5), self.height, self.width))
        top, left, turned = (
            torch.randint(high, (), generator=generator, device=self.device)
            for high in (self.height - side + 1, self.width - side + 1, 2)
        )
        bump = opposite_bumps(side, self.device, self.dtype)
        bump = torch.where(turned.bool(), bump.T, bump)
        rows = torch.arange(self.height, device=self.device) - top
        columns = torch.arange(self.width, device=self.device) - left
        inside = ((rows >= 0) & (rows < side))[:, None] & ((columns >= 0) & (columns < side))
        spread = bump[rows.clamp(0, side - 1)][:, columns.clamp(0, side - 1)] * inside
        return Window(inside.reshape(1, -1), spread.reshape(1, -1))

    def signs(self, generator: torch.Generator | None) -> Tensor:
        return _random_signs(self.groups, 1, layout=self, generator=generator)

    def stripes(self, generator: torch.Generator | None) -> Tensor:
        column = _random_signs(self.groups, 1, self.width, layout=self, generator=generator)
        return column.expand(-1, self.height, -1).reshape(self.groups, -1)

    def tiles(self, generator: torch.Generator | None) -> Tensor:
        side = max(1, min(self.height, self.width) // 5)
        rows = torch.arange(self.height, device=self.device)
        columns = torch.arange(self.width, device=self.device)
        pattern = opposite_bumps(side, self.device, self.dtype)[rows % side][:, columns % side]
        counts = (-(-self.height // side), -(-self.width // side))
        signs = _random_signs(self.groups, *counts, layout=self, generator=generator)
        return (signs[:, rows // side][:, :, columns // side] * pattern).reshape(self.groups, -1)


@dataclass(frozen=True)
class Features(AbstractLayout):
    """Random subsets of features, which have no neighbours; one sign per feature."""

    positions: int
    device: torch.device
    dtype: torch.dtype
    groups: int = 1

    def window(self, share: float, generator: torch.Generator | None) -> Window:
        size = max(1, min(round(share * self.positions), self.positions))
        chosen = torch.randperm(self.positions, generator=generator, device=self.device)[:size]
        mask = torch.zeros(1, self.positions, dtype=torch.bool, device=self.device)
        mask[0, chosen] = True
        return Window(mask, mask.to(self.dtype))

    def signs(self, generator: torch.Generator | None) -> Tensor:
        return _random_signs(1, self.positions, layout=self, generator=generator)

    def stripes(self, generator: torch.Generator | None) -> Tensor:
        return self.signs(generator)

    def tiles(self, generator: torch.Generator | None) -> Tensor:
        return self.signs(generator)


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
