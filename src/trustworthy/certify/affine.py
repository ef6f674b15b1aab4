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
class AffineMap:
    """x -> W x + b of examples, and Wᵀ.

    forward : from the inputs (n, *inputs), of which a sum takes two, to (n, *outputs).
    pull_back : from functionals of the outputs (n, *outputs) to those (n, *inputs) of each input.
    """

    forward: Callable[..., Tensor]
    pull_back: Callable[[Tensor], Tensor]


SUM = AffineMap(torch.add, lambda a: a)
"""The sum of two results; each gets the functional of the sum."""


def rescaled(scale: Tensor, shift: Tensor) -> AffineMap:
    """scale x + shift, which broadcast to one example."""
    return AffineMap(lambda x: x * scale + shift, lambda a: a * scale)


def reshaped(inputs: Shape, outputs: Shape) -> AffineMap:
    """Each example in another shape."""
    return AffineMap(lambda x: x.reshape(-1, *outputs), lambda a: a.reshape(-1, *inputs))


def _averaged(rows: Float[Tensor, "high height"], columns: Float[Tensor, "wide width"]) -> AffineMap:
    """Pooling by averages: a matrix on the rows of each image and one on its columns."""
    return AffineMap(lambda x: rows @ x @ columns.T, lambda a: rows.T @ a @ columns)


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> AffineMap:
    matrix, shift = _double(weight), None if bias is None else _double(bias)
    return AffineMap(lambda x: F.linear(x, matrix, shift), lambda a: a @ matrix)


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
    kernel, shift, inputs = _double(weight), None if bias is None else _double(bias), image_shape(x)
    how: Any = (pair(stride), edges, pair(dilation), groups)  # pairs, which torch's hints leave out
    return AffineMap(
        lambda x: F.conv2d(x, kernel, shift, *how), lambda a: conv2d_input((len(a), *inputs), kernel, a, *how)
    )


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
    return rescaled(_by_channel(scale, x), _by_channel(shift, x))


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
    return _averaged(rows / (divisor_override or 1), columns)


def _adaptive_average(x: Tensor, output_size: int | tuple[int | None, int | None]) -> AffineMap:
    sides = image_shape(x)[1:]
    counts = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    rows, columns = (
        F.adaptive_avg_pool1d(torch.eye(side).to(x), side if count is None else count).T
        for side, count in zip(sides, counts, strict=True)
    )
    return _averaged(rows, columns)


def _shifted(x: Tensor, other: float | Tensor, alpha: float = 1) -> AffineMap:
    return rescaled(x.new_ones(()), alpha * _constant(x, other))


def _lowered(x: Tensor, other: float | Tensor, alpha: float = 1) -> AffineMap:
    return _shifted(x, other, -alpha)


def _scaled(x: Tensor, other: float | Tensor) -> AffineMap:
    return rescaled(_constant(x, other), x.new_zeros(()))


def _divided(x: Tensor, other: float | Tensor) -> AffineMap:
    return rescaled(1 / _constant(x, other), x.new_zeros(()))


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
