"""Normalisation of the inputs as a layer, so that a model takes images in [0, 1] and attacks speak in those units."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

PerChannel = float | Sequence[float] | Tensor


class Normalize(nn.Module):
    """(x - mean) / std, channel by channel; the channel (or the feature of a table) is axis 1.

    Parameters
    ----------
    mean : one number, or one per channel, in the units of the input.
    std : one number > 0, or one per channel, in the units of the input.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: PerChannel, std: PerChannel) -> None:
        super().__init__()
        channel_mean, channel_std = _numbers("mean", mean), _numbers("std", std)
        if min(channel_std) <= 0:
            raise InvalidInput(f"std must be > 0, got {std!r}; use 1 for a channel that never varies.")
        if 1 not in (len(channel_mean), len(channel_std)) and len(channel_mean) != len(channel_std):
            raise InvalidInput(
                f"mean and std must have one value per channel, got {len(channel_mean)} and {len(channel_std)}."
            )
        self.register_buffer("mean", torch.tensor(channel_mean))
        self.register_buffer("std", torch.tensor(channel_std))

    def forward(self, x: Float[Tensor, "batch channels *shape"]) -> Float[Tensor, "batch channels *shape"]:
        mean, std = self._along(x)
        return (x - mean) / std

    def inverse(self, x: Float[Tensor, "batch channels *shape"]) -> Float[Tensor, "batch channels *shape"]:
        """What `forward` has made of the answer."""
        mean, std = self._along(x)
        return x * std + mean

    def _along(self, x: Tensor) -> tuple[Tensor, Tensor]:
        channels = max(len(self.mean), len(self.std))
        if channels not in (1, x.shape[1]):
            raise InvalidInput(
                f"x must have {channels} channels on axis 1, as mean and std have, got {tuple(x.shape)}."
            )
        trailing = [1] * (x.ndim - 2)
        return self.mean.reshape(-1, *trailing), self.std.reshape(-1, *trailing)

    def extra_repr(self) -> str:
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"


def _numbers(name: str, values: PerChannel) -> list[float]:
    listed = values.flatten().tolist() if isinstance(values, Tensor) else values
    numbers = list(listed) if isinstance(listed, Sequence) else [listed]
    if not numbers:
        raise InvalidInput(f"{name} must be a number or one per channel, got none.")
    return [checks.real(name, number) for number in numbers]
