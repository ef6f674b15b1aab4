"""Monotone operations between the affine ones, and the linear functions that lie below and above them over a box.

A leaky ReLU with slope s whose input lies in [l, u] with l < 0 < u lies above a z with a = 1 if u >= -l, else s, and
below the chord from (l, s l) to (u, u). The maximum of a window lies above each of its inputs; and if z lies in [l, u]
and no other input exceeds m, it is at most max(z, m), which lies below the chord from (l, m) to (u, u). Of both the
input with the greatest middle or end is taken, so that they meet where one input dominates the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from trustworthy.certify.affine import Shape, image_shape, pair
from trustworthy.certify.regions import Box
from trustworthy.core.errors import InvalidInput


@dataclass(frozen=True)
class Lines:
    """The lines below and above a ReLU: slopes, and the intercept of the upper one."""

    lower: Float[Tensor, "batch *shape"]
    upper: Float[Tensor, "batch *shape"]
    intercept: Float[Tensor, "batch *shape"]

    def pull_back(
        self, a: Float[Tensor, "some rows *shape"]
    ) -> tuple[Float[Tensor, "batch rows *shape"], Float[Tensor, "batch rows"]]:
        """Functionals of the outputs as functionals of the inputs that never exceed them, and constants."""
        slope = torch.where(a > 0, self.lower[:, None], self.upper[:, None])
        return slope.mul_(a), _lost(a, self.intercept)


@dataclass(frozen=True)
class Rectifier:
    """max(z, slope z) with a slope in [0, 1]: a ReLU for 0."""

    slope: float

    def forward(self, z: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        return torch.maximum(z, self.slope * z)

    def relaxed(self, box: Box) -> Lines:
        """The lines where the inputs lie in `box`."""
        low, high = box.lower, box.upper
        one, slope = torch.ones_like(low), torch.full_like(low, self.slope)
        crosses = (low < 0) & (high > 0)
        outside = torch.where(low >= 0, one, slope)
        upper = torch.where(crosses, (high - slope * low) / torch.where(crosses, high - low, one), outside)
        lower = torch.where(crosses, torch.where(high >= -low, one, slope), outside)
        return Lines(lower, upper, torch.where(crosses, low * (slope - upper), 0.0))


@dataclass(frozen=True)
class Picks:
    """Pixels of each plane that bound the maxima of its windows; from above by a slope and an intercept."""

    inputs: Shape
    lower: Int[Tensor, "batch channels windows"]
    upper: Int[Tensor, "batch channels windows"]
    slope: Float[Tensor, "batch channels windows"]
    intercept: Float[Tensor, "batch channels windows"]

    def pull_back(
        self, a: Float[Tensor, "some rows *outputs"]
    ) -> tuple[Float[Tensor, "batch rows *inputs"], Float[Tensor, "batch rows"]]:
        """Functionals of the maxima as functionals of the pixels that never exceed them, and constants."""
        channels, height, width = self.inputs
        windows = a.flatten(3)
        pulled = a.new_zeros(len(self.lower), a.shape[1], channels, height * width)
        for pixels, weight in (
            (self.lower, windows.clamp_min(0.0)),
            (self.upper, windows.clamp_max(0.0) * self.slope[:, None]),
        ):
            sizes = (len(pixels), *windows.shape[1:])
            pulled.scatter_add_(3, pixels[:, None].expand(sizes), weight.expand(sizes))
        return pulled.unflatten(3, (height, width)), _lost(a, self.intercept)


@dataclass(frozen=True)
class MaxPooling:
    """The greatest pixel of each window of each plane.

    windows : numbers of the pixels of each window; -1 for those of the padding, which is -inf.
    """

    inputs: Shape
    outputs: Shape
    windows: Int[Tensor, "pixels windows"]

    def forward(self, x: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        return self._gathered(x).amax(2).unflatten(2, self.outputs[1:])

    def relaxed(self, box: Box) -> Picks:
        """The bounds where the pixels lie in `box`."""
        low, high = self._gathered(box.lower), self._gathered(box.upper)
        first = high.argmax(2, keepdim=True)
        greatest, others = high.amax(2), high.scatter(2, first, -torch.inf).amax(2)
        least = low.gather(2, first)[:, :, 0]
        open_ = least < others
        slope = torch.where(open_, (greatest - others) / torch.where(open_, greatest - least, 1.0), 1.0)
        intercept = torch.where(open_, others - slope * least, 0.0)
        return Picks(self.inputs, self._pixels((low + high).argmax(2)), self._pixels(first[:, :, 0]), slope, intercept)

    def _gathered(self, x: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch channels pixels windows"]:
        return F.pad(x.flatten(2), (0, 1), value=-torch.inf)[..., self.windows]

    def _pixels(self, places: Int[Tensor, "batch channels windows"]) -> Int[Tensor, "batch channels windows"]:
        """Numbers of the pixels that stand at these places of their windows."""
        return self.windows.gather(0, places.flatten(0, 1)).reshape(places.shape)


Nonlinear = Rectifier | MaxPooling
Relaxation = Lines | Picks


def _relu(x: Tensor, inplace: bool = False) -> Nonlinear:
    return Rectifier(0.0)


def _leaky_relu(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Nonlinear:
    if not 0.0 <= negative_slope <= 1.0:
        raise InvalidInput(f"leaky_relu is certified with a negative_slope in [0, 1], got {negative_slope!r}.")
    return Rectifier(float(negative_slope))


def _max_pool(
    x: Tensor,
    kernel_size: int | Shape,
    stride: int | Shape | None = None,
    padding: int | Shape = 0,
    dilation: int | Shape = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Nonlinear:
    if ceil_mode:
        raise InvalidInput("max_pool2d cannot be certified with ceil_mode=True: use ceil_mode=False.")
    shape = image_shape(x)
    how = (pair(kernel_size), pair(dilation), pair(padding), pair(stride or kernel_size))
    numbers = torch.arange(1.0, shape[1] * shape[2] + 1, dtype=x.dtype, device=x.device)
    windows = F.unfold(numbers.reshape(1, 1, *shape[1:]), *how)[0].long() - 1
    outputs = F.max_pool2d(x, kernel_size, stride, padding, dilation).shape[1:]
    return MaxPooling(shape, tuple(outputs), windows)


NONLINEAR: dict[Callable[..., object], Callable[..., Nonlinear]] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_), _relu),
    F.leaky_relu: _leaky_relu,
    F.leaky_relu_: _leaky_relu,
    torch.max_pool2d: _max_pool,
    F.max_pool2d: _max_pool,
}
"""The monotone functions: how to read each, called as it is, given one input (1, *shape) in float64."""


def _lost(
    a: Float[Tensor, "some rows *outputs"], intercept: Float[Tensor, "batch *windows"]
) -> Float[Tensor, "batch rows"]:
    """What negative weights make of the intercepts of the upper bounds."""
    return torch.einsum("brd,bd->br", a.clamp_max(0.0).flatten(2), intercept.flatten(1))
