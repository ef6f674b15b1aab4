"""Images that are larger than the memory: predicted by tiles that overlap, read and written tile by tile.

The tiles begin where the strides of the network do and look past their edges as far as it does, so what comes out is
what the whole image would have given; where a tile is too small for that, neighbours are blended smoothly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import as_posterior
from trustworthy.nn.image_to_image import ImageToImage
from trustworthy.nn.translator import to_type

ArrayLike = Any
"""What has `shape`, `dtype` and `ndim` and is read and written by slices: arrays, `np.memmap`, `tifffile.memmap`."""
Weights = Float[np.ndarray, " side"]


@dataclass(frozen=True, eq=False)
class TiledPrediction:
    """Mean and standard deviation over the members, each (channels, height, width) or as the array that was given."""

    mean: ArrayLike
    std: ArrayLike | None


class _Layout(NamedTuple):
    """Pixels: a tile's side, what neighbours share, what their starts are multiples of, and what an edge spoils."""

    tile: int
    overlap: int
    grid: int
    margin: int


def predict_tiled(
    model: Any,
    image: ArrayLike,
    *,
    tile: int = 512,
    overlap: int | None = None,
    grid: int | None = None,
    draws: int | None = None,
    out: tuple[ArrayLike, ArrayLike | None] | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
    progress: Callable[[float], None] | None = None,
) -> TiledPrediction:
    """`predict` for one image of any size, with the memory of a tile and of a band of tiles across the image.

    What networks of `nn.unet` give is that of the whole image but for rounding where `overlap` is at least twice their
    `reach`. A model that draws anew gets the same random numbers for each tile, so that tiles show one draw of weights.

    Parameters
    ----------
    model : as for `predict`; takes (1, channels, height, width).
    image : (channels, height, width) or (height, width), in the units that the model takes, read by slices.
    tile : side of a tile in pixels, >= 1; raised to a multiple of `grid`, at least two. An image that fits is one tile.
    overlap : pixels that neighbouring tiles share, from 0 to below `tile`, raised to a multiple of `grid`. None takes
        twice the `reach` of the network, at most half a tile; a quarter of a tile where the reach is unknown.
    grid : product of the strides of the network, >= 1; None takes that of the networks of `nn.unet`, else 1.
    draws : as for `predict`.
    out : arrays for mean and standard deviation, (channels, height, width), or (height, width) for one channel; None in
        the place of the second leaves it out. A whole type gets rounded and clipped numbers. None makes float32.
    generator, device : as for `predict`; the generator is drawn from once.
    progress : told the share of the tiles that are done, from above 0 to 1.

    Raises
    ------
    InvalidInput : an argument out of its range, or arrays of other shapes; a layer that normalises or pools over the
        whole image, which would show the tiles, where there is more than one.
    ModelContractError : answers of another height or width than the tile.
    """
    height, width = _sides(image)
    modules = list(as_posterior(model).modules())
    layout = _layout(modules, tile, overlap, grid)
    rows, columns = ([*_along(side, layout)] for side in (height, width))
    if len(rows) * len(columns) > 1:
        _check_local(modules)
    ask, band = _asked(model, modules, draws, generator, device), _Band(out, (height, width))
    for row, (top, of_rows) in enumerate(rows):
        for column, (left, of_columns) in enumerate(columns):
            answer = ask(image[..., top : top + len(of_rows), left : left + len(of_columns)])
            band.add(answer * (of_rows[:, None] * of_columns), left, max(len(weights) for _, weights in rows))
            if progress is not None:
                progress((row * len(columns) + column + 1) / (len(rows) * len(columns)))
        band.write(top, rows[row + 1][0] if row + 1 < len(rows) else height)
    return TiledPrediction(*band.maps)


class _Band:
    """Sums of what the tiles of a row add to mean and standard deviation, across the image, until they are complete."""

    maps: tuple[ArrayLike, ArrayLike | None]
    _sums: Float[np.ndarray, "2 channels rows width"] | None = None

    def __init__(self, out: tuple[ArrayLike, ArrayLike | None] | None, sides: tuple[int, int]) -> None:
        self._out, self._sides = out, sides

    def add(self, answer: Float[np.ndarray, "2 channels height width"], left: int, rows: int) -> None:
        """Add to the band, `rows` high, a tile at its top."""
        if self._sums is None:
            channels = answer.shape[1]
            self.maps = _maps(self._out, (channels, *self._sides))
            self._sums = np.zeros((2, channels, rows, self._sides[1]), np.float32)
        self._sums[:, :, : answer.shape[2], left : left + answer.shape[3]] += answer

    def write(self, top: int, until: int) -> None:
        """Write the rows of the image from the `top` of the band, to which nothing more is added, and move it down."""
        sums, done = cast("np.ndarray", self._sums), until - top
        for values, target in zip(sums, self.maps, strict=True):
            if target is not None:
                complete = to_type(values[:, :done], target.dtype)
                target[..., top:until, :] = complete if target.ndim == 3 else complete[0]
        sums[:, :, :-done] = sums[:, :, done:]
        sums[:, :, -done:] = 0.0


def _sides(image: ArrayLike) -> tuple[int, int]:
    shape: Any = tuple(getattr(image, "shape", ()))
    if len(shape) not in (2, 3) or 0 in shape:
        raise InvalidInput(
            "image must be an array (channels, height, width) or (height, width), got "
            f"{shape or type(image).__name__}; channels at the end go first by np.moveaxis(image, -1, 0), which reads "
            "nothing."
        )
    return shape[-2], shape[-1]


def _layout(modules: list[nn.Module], tile: int, overlap: int | None, grid: int | None) -> _Layout:
    known = [module for module in modules if isinstance(module, ImageToImage)]
    grid = max((net.grid for net in known), default=1) if grid is None else checks.integer("grid", grid, at_least=1)
    side = max(_raised(checks.integer("tile", tile, at_least=1), grid), 2 * grid)
    reach = max((net.reach for net in known), default=None)
    if overlap is None:
        shared = side // 4 if reach is None else min(2 * reach, side // 2)
        shared = min(_raised(shared, grid), side - grid)
    else:
        shared = _raised(checks.integer("overlap", overlap, at_least=0), grid)
    if shared >= side:
        raise InvalidInput(f"overlap must be smaller than tile, got {shared} and {side} in steps of {grid}.")
    return _Layout(side, shared, grid, reach if reach is not None and 2 * reach <= shared else shared // 4)


def _raised(number: int, grid: int) -> int:
    return -(-number // grid) * grid


def _along(side: int, layout: _Layout) -> Iterator[tuple[int, Weights]]:
    """Along one axis the start of each tile and the weight of each of its pixels; of a pixel they sum to 1."""
    last = max(0, _raised(side - layout.tile, layout.grid))
    starts = [*range(0, last, layout.tile - layout.overlap), last]
    lengths = [min(layout.tile, side - start) for start in starts]
    weights = [
        _rising(length, layout, start > 0) * _rising(length, layout, start + length < side)[::-1]
        for start, length in zip(starts, lengths, strict=True)
    ]
    total = np.zeros(side)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + len(weight)] += weight
    for start, weight in zip(starts, weights, strict=True):
        yield start, (weight / total[start : start + len(weight)]).astype(np.float32)


def _rising(length: int, layout: _Layout, inside: bool) -> Weights:
    """From 0 over the margin smoothly to 1 where the edge lies `inside` of the image, 1 everywhere where it is its."""
    if not inside:
        return np.ones(length)
    ramp = max(1, layout.overlap - 2 * layout.margin)
    share = np.clip((np.arange(length) + 0.5 - layout.margin) / ramp, 0.0, 1.0)
    return share**2 * (3 - 2 * share)


def _asked(
    model: Any,
    modules: list[nn.Module],
    draws: int | None,
    generator: torch.Generator | None,
    device: torch.device | None,
) -> Callable[[ArrayLike], np.ndarray]:
    """What answers a tile by the mean and the standard deviation over the draws, with the same draws for each."""
    weights = (weight for module in modules for weight in module.parameters())
    dtype = next((weight.dtype for weight in weights if weight.is_floating_point()), torch.float32)
    place = torch.device("cpu") if device is None else device
    drawn_on = "cpu" if generator is None else generator.device
    seed = int(torch.randint(2**62, (1,), generator=generator, device=drawn_on))

    def ask(part: ArrayLike) -> np.ndarray:
        x = torch.from_numpy(np.array(part, np.float64 if dtype == torch.float64 else np.float32))
        x = x.reshape(1, -1, *x.shape[-2:]).to(dtype)
        same = torch.Generator(place).manual_seed(seed)
        answer = predict(model, x, draws=draws, generator=same, device=device)
        if answer.members.ndim != 5 or answer.members.shape[3:] != x.shape[2:]:
            raise ModelContractError(
                f"model must answer an image {tuple(x.shape)} by one of its height and width, got "
                f"{tuple(answer.members.shape[1:])}; pad its convolutions."
            )
        return torch.stack((answer.mean[0], answer.std[0])).float().numpy()

    return ask


def _maps(out: tuple[ArrayLike, ArrayLike | None] | None, shape: tuple[int, int, int]) -> tuple[ArrayLike, ArrayLike]:
    if out is None:
        return np.empty(shape, np.float32), np.empty(shape, np.float32)
    for name, array in zip(("mean", "std"), out, strict=True):
        if array is not None and tuple(array.shape) not in (shape, *([shape[1:]] if shape[0] == 1 else [])):
            raise InvalidInput(f"out for the {name} must have the shape {shape}, got {tuple(array.shape)}.")
    return out


def _check_local(modules: list[nn.Module]) -> None:
    """Refuse layers that look at all of an image."""
    for module in modules:
        pools = isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d | nn.GroupNorm | nn.MultiheadAttention)
        normalises = isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is None
        if pools or normalises:
            raise InvalidInput(
                f"model must look at neighbourhoods alone to be asked by tiles, and its {module} looks at the whole "
                "image, so that each tile would be treated in its own way; give a tile as large as the image, or train "
                "with BatchNorm2d."
            )
