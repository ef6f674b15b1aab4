"""Affine operations of a network as linear maps that pull functionals back, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from trustworthy.core.errors import InvalidInput

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
        how: Any = (self.stride, self.padding, self.dilation, self.groups)  # pairs, which torch's hints leave out
        return conv2d_input((len(a), *self.inputs), self.weight, a, *how)


@dataclass(frozen=True)
class Rescaling:
    """scale x + shift, which broadcast to one example."""

    scale: Tensor
    shift: Tensor

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return x * self.scale + self.shift

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a * self.scale


@dataclass(frozen=True)
class Reshaping:
    """Each example in another shape."""

    inputs: Shape
    outputs: Shape

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return x.reshape(-1, *self.outputs)

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a.reshape(-1, *self.inputs)


@dataclass(frozen=True)
class Averaging:
    """Pooling by averages: a matrix on the rows of each image and one on its columns."""

    rows: Float[Tensor, "high height"]
    columns: Float[Tensor, "wide width"]

    def forward(self, x: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return self.rows @ x @ self.columns.T

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return self.rows.T @ a @ self.columns


class Summing:
    """The sum of two results; each gets the functional of the sum."""

    def forward(self, x: Float[Tensor, "n *inputs"], y: Float[Tensor, "n *inputs"]) -> Float[Tensor, "n *outputs"]:
        return x + y

    def pull_back(self, a: Float[Tensor, "n *outputs"]) -> Float[Tensor, "n *inputs"]:
        return a


AffineMap = Dense | Convolution | Rescaling | Reshaping | Averaging | Summing
"""x -> W x + b on batches of examples: `forward`; and Wᵀ, functionals of the outputs as those of the inputs."""


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> AffineMap:
    return Dense(_double(weight), None if bias is None else _double(bias))


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Shape = 1,
    padding: int | Shape | str = 0,
    dilation: int | Shape = 1,
    groups: int = 1,
) -> AffineMap:
    if padding == "same":
        raise InvalidInput("conv2d cannot be certified with padding='same': pad by numbers (padding=1).")
    edges = (0, 0) if isinstance(padding, str) else pair(padding)
    shift = None if bias is None else _double(bias)
    return Convolution(_double(weight), shift, image_shape(x), pair(stride), edges, pair(dilation), groups)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> AffineMap:
    if training or running_mean is None or running_var is None:
        raise InvalidInput("batch_norm cannot be certified without running statistics: examples depend on each other.")
    scale = (_double(running_var) + eps).rsqrt()
    if weight is not None:
        scale = scale * _double(weight)
    shift = -_double(running_mean) * scale
    if bias is not None:
        shift = shift + _double(bias)
    return Rescaling(_by_channel(scale, x), _by_channel(shift, x))


def _average(
    x: Tensor,
    kernel_size: int | Shape,
    stride: int | Shape | None = None,
    padding: int | Shape = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> AffineMap:
    window, edges = pair(kernel_size), pair(padding)
    step = pair(stride) if stride else window
    matrices = []
    for axis, size in enumerate(image_shape(x)[1:]):
        units = torch.eye(size).to(x)[None, :, :, None]  # a channel for each pixel of the axis
        how = ((window[axis], 1), (step[axis], 1), (edges[axis], 0), ceil_mode, count_include_pad)
        matrices.append(F.avg_pool2d(units, *how, divisor_override and 1)[0, :, :, 0].T)
    rows, columns = matrices
    return Averaging(rows / (divisor_override or 1), columns)


def _adaptive_average(x: Tensor, output_size: int | tuple[int | None, int | None]) -> AffineMap:
    sides = image_shape(x)[1:]
    counts = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    rows, columns = (
        F.adaptive_avg_pool1d(torch.eye(side).to(x), side if count is None else count).T
        for side, count in zip(sides, counts, strict=True)
    )
    return Averaging(rows, columns)


def _shifted(x: Tensor, other: float | Tensor, alpha: float = 1) -> AffineMap:
    return Rescaling(x.new_ones(()), alpha * _constant(x, other))


def _lowered(x: Tensor, other: float | Tensor, alpha: float = 1) -> AffineMap:
    return _shifted(x, other, -alpha)


def _scaled(x: Tensor, other: float | Tensor) -> AffineMap:
    return Rescaling(_constant(x, other), x.new_zeros(()))


def _divided(x: Tensor, other: float | Tensor) -> AffineMap:
    return Rescaling(1 / _constant(x, other), x.new_zeros(()))


AFFINE: dict[Callable[..., object], Callable[..., AffineMap]] = {
    F.linear: _dense,
    F.conv2d: _convolution,
    F.batch_norm: _batch_norm,
    F.avg_pool2d: _average,
    F.adaptive_avg_pool2d: _adaptive_average,
    **dict.fromkeys((torch.add, Tensor.add, Tensor.add_), _shifted),
    **dict.fromkeys((torch.sub, Tensor.sub, Tensor.sub_), _lowered),
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.mul_), _scaled),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.div_), _divided),
}
"""The functions that are affine in their first argument: how to read each, called as it is, given one input
(1, *shape) in float64 in the place of that argument."""


def image_shape(x: Tensor) -> Shape:
    """Shape of one example, which must be an image."""
    if x.ndim != 4:
        raise InvalidInput(
            f"a convolution or pooling is certified of images (channels, height, width), got {tuple(x.shape[1:])}."
        )
    return tuple(x.shape[1:])


def pair(value: int | Shape) -> Shape:
    """`value` for the rows and for the columns."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * 2 if len(sizes) == 1 else sizes


def _double(values: Tensor) -> Tensor:
    return values.detach().double()


def _by_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _constant(x: Tensor, other: float | Tensor) -> Tensor:
    constant = torch.as_tensor(other, dtype=torch.float64, device=x.device).detach()
    if torch.broadcast_shapes(constant.shape, x.shape) != x.shape:
        raise InvalidInput(
            f"what is added to or multiplied with examples of shape {tuple(x.shape[1:])} must broadcast to that shape, "
            f"got {tuple(constant.shape)}."
        )
    return constant
