"""VGG-style stacks: 3x3 convolutions, each with batch normalisation and ReLU, and pooling between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Conv:
    """A 3x3 convolution to `width` channels, then batch normalisation and ReLU."""

    width: int
    padding: int = 1
    affine: bool = True

    def layers(self, channels: int) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, self.width, kernel_size=3, padding=self.padding)
        return [convolution, nn.BatchNorm2d(self.width, affine=self.affine), nn.ReLU()]


@dataclass(frozen=True)
class Pool:
    """Halves the image by 2x2 pooling: the maximum, or the mean where `mean`."""

    mean: bool = False

    def layers(self, channels: int) -> list[nn.Module]:
        return [nn.AvgPool2d(2) if self.mean else nn.MaxPool2d(2)]


def conv_stack(plan: Sequence[Conv | Pool], channels: int) -> list[nn.Module]:
    """Layers of `plan` in order, for images of `channels` channels."""
    layers: list[nn.Module] = []
    for item in plan:
        layers += item.layers(channels)
        channels = item.width if isinstance(item, Conv) else channels
    return layers
