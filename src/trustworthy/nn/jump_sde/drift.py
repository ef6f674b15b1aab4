"""The drift of the dissertation's network: three convolutions that know the time."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


def group_norm(channels: int) -> nn.GroupNorm:
    """32 groups, or as many as divide both 32 and the channels; two channels at least in each, where there are two.

    Of a channel that is normalised alone, the mean over the image says nothing: the head would see no input.
    """
    return nn.GroupNorm(min(math.gcd(32, channels), max(1, channels // 2)), channels)


class TimeConv(nn.Module):
    """A 3x3 convolution that is shown the time as one more channel, constant over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels + 1, channels, kernel_size=3, padding=1)

    def forward(
        self, t: float, h: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        return self.convolution(torch.cat([h, torch.full_like(h[:, :1], t)], dim=1))


class Drift(nn.Module):
    """f(t, h) of eq. (2.30): three times group normalisation, ReLU, `TimeConv`, and a last normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(group_norm(channels) for _ in range(4))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.convolutions = nn.ModuleList(TimeConv(channels) for _ in range(3))

    def forward(
        self, t: float, h: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        for norm, activation, convolution in zip(self.norms, self.activations, self.convolutions, strict=False):
            h = convolution(t, activation(norm(h)))
        return self.norms[3](h)
