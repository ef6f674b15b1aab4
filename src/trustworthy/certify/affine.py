"""Affine layers of a network as linear maps that pull functionals back, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import Normalize

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Dense:
    """A matrix on the last axis."""

    weight: Tensor
    bias: Tensor | None

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return F.linear(x, self.weight, self.bias)

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a @ self.weight


@dataclass(frozen=True)
class Convolution:
    """A convolution of images (channels, height, width) padded with zeros."""

    weight: Tensor
    bias: Tensor | None
    inputs: Shape
    stride: Shape
    padding: Shape
    dilation: Shape = (1, 1)
    groups: int = 1

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        left = [self._unread(axis, a.shape[2 + axis]) for axis in (0, 1)]
        return F.conv_transpose2d(a, self.weight, None, self.stride, self.padding, left, self.groups, self.dilation)

    def _unread(self, axis: int, windows: int) -> int:
        """Pixels at the far end that no window reaches."""
        reach = self.dilation[axis] * (self.weight.shape[2 + axis] - 1) + 1
        return self.inputs[1 + axis] + 2 * self.padding[axis] - reach - (windows - 1) * self.stride[axis]


@dataclass(frozen=True)
class Rescaling:
    """scale x + shift, channel by channel."""

    scale: Tensor
    shift: Tensor

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return x * self.scale + self.shift

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a * self.scale


@dataclass(frozen=True)
class Flattening:
    """Each example as one row."""

    inputs: Shape

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return x.flatten(1)

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a.reshape(-1, *self.inputs)


AffineMap = Dense | Convolution | Rescaling | Flattening
"""x -> W x + b on batches of examples: `forward`; and Wᵀ, functionals of the outputs as those of the inputs."""


def _dense(layer: nn.Linear, x: Tensor) -> AffineMap:
    return Dense(_double(layer.weight), None if layer.bias is None else _double(layer.bias))


def _convolution(layer: nn.Conv2d, x: Tensor) -> AffineMap:
    if layer.padding_mode != "zeros" or layer.padding == "same":
        raise InvalidInput(f"{layer} cannot be certified: pad with zeros, by numbers (padding=1).")
    padding = (0, 0) if isinstance(layer.padding, str) else layer.padding
    bias = None if layer.bias is None else _double(layer.bias)
    return Convolution(_double(layer.weight), bias, _shape(x), layer.stride, padding, layer.dilation, layer.groups)


def _average(layer: nn.AvgPool2d, x: Tensor) -> AffineMap:
    """Average pooling is a convolution of each channel with a constant."""
    window, padding = _pair(layer.kernel_size), _pair(layer.padding)
    if layer.ceil_mode or (any(padding) and not layer.count_include_pad):
        raise InvalidInput(f"{layer} cannot be certified: use ceil_mode=False and count_include_pad=True.")
    channels = x.shape[1]
    weight = x.new_full((channels, 1, *window), 1.0 / (layer.divisor_override or prod(window)))
    return Convolution(weight, None, _shape(x), _pair(layer.stride), padding, groups=channels)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> AffineMap:
    if layer.running_mean is None or layer.running_var is None:
        raise InvalidInput(f"{layer} cannot be certified: without running statistics examples depend on each other.")
    mean, variance = _double(layer.running_mean), _double(layer.running_var)
    scale = (variance + layer.eps).rsqrt()
    if layer.affine:
        scale = scale * _double(layer.weight)
    shift = -mean * scale
    if layer.affine:
        shift = shift + _double(layer.bias)
    return Rescaling(_by_channel(scale, x), _by_channel(shift, x))


def _normalize(layer: Normalize, x: Tensor) -> AffineMap:
    mean, std = _double(layer.mean), _double(layer.std)
    return Rescaling(_by_channel(1 / std, x), _by_channel(-mean / std, x))


def _flattening(layer: nn.Flatten, x: Tensor) -> AffineMap:
    if layer.start_dim != 1 or layer.end_dim not in (-1, x.ndim - 1):
        raise InvalidInput(f"{layer} cannot be certified: flatten each example whole, nn.Flatten().")
    return Flattening(_shape(x))


AFFINE: dict[type[nn.Module], Callable[..., AffineMap]] = {
    nn.Linear: _dense,
    nn.Conv2d: _convolution,
    nn.AvgPool2d: _average,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    Normalize: _normalize,
    nn.Flatten: _flattening,
}
"""The layers that are affine in eval mode: how to read each, given one input (1, *shape) in float64."""


def _shape(x: Tensor) -> Shape:
    return tuple(x.shape[1:])


def _double(values: Tensor) -> Tensor:
    return values.detach().double()


def _by_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _pair(value: int | Shape) -> Shape:
    return (value, value) if isinstance(value, int) else tuple(value)
