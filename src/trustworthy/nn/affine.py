"""What linear layers and convolutions compute, with weights that are not their own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
AFFINE: tuple[type[nn.Module], ...] = (nn.Linear, *CONVOLUTIONS)
"""The layers whose output is affine in their input, with a `weight` and perhaps a `bias`."""


def affine(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None, output_size: list[int] | None = None) -> Tensor:
    """The answer of `layer`, one of `AFFINE`, if it had these weights; `output_size` as in transposed convolutions."""
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    if not issubclass(type(layer), TRANSPOSED):
        return layer._conv_forward(x, weight, bias)  # with the padding of the layer
    sides, stride, padding, dilation = len(layer.kernel_size), layer.stride, layer.padding, layer.dilation
    extra = layer._output_padding(x, output_size, stride, padding, layer.kernel_size, sides, dilation)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[sides - 1]
    return function(x, weight, bias, stride, padding, extra, layer.groups, dilation)
