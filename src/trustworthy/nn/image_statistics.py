"""What the images of a training set are like, channel by channel, and whether others are like them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from trustworthy.core.errors import InvalidInput

Images = Tensor | np.ndarray | Sequence[Any]
"""Images (n, channels, height, width), or several (channels, height, width) of any sizes; of any type of number."""
Array = np.ndarray

MEAN, SPREAD, SATURATED = range(3)
_ROWS = 256  # of an image that are looked at in one go, so that one on the disk stays there


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """Of every image of a set.

    sizes : height and width of each, in pixels.
    each : of each image and channel its mean and its standard deviation, in the units of the image, and the share of
        its pixels that have its highest value.
    """

    sizes: list[tuple[int, int]]
    each: Float[Array, "n 3 channels"]

    @property
    def mean(self) -> Float[Array, " channels"]:
        """Over all pixels of all images."""
        return self._pooled()[0]

    @property
    def std(self) -> Float[Array, " channels"]:
        """Over all pixels of all images; 1 where a channel never varies."""
        return np.where(self.constant, 1.0, self._pooled()[1])

    @property
    def constant(self) -> Bool[Array, " channels"]:
        """Whether a channel has one value in every pixel of every image, but for rounding."""
        mean, std = self._pooled()
        return std <= 1e-7 * np.abs(mean)

    @property
    def ranges(self) -> Float[Array, "3 2 channels"]:
        """Lowest and highest over the images, of each column of `each`."""
        return np.stack((self.each.min(0), self.each.max(0)), 1)

    def _pooled(self) -> tuple[Array, Array]:
        pixels = [height * width for height, width in self.sizes]
        return pooled(np.array(pixels), self.each[:, MEAN], self.each[:, SPREAD])


def pooled(counts: Array, means: Array, stds: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (channels) of several parts of which each has its own (parts, channels)."""
    mean = np.average(means, axis=0, weights=counts)
    return mean, np.sqrt(np.average(stds**2 + (means - mean) ** 2, axis=0, weights=counts))


def image_statistics(name: str, images: Images) -> ImageStatistics:
    """Of `images`, each read once, a few rows at a time.

    Raises
    ------
    InvalidInput : no images, or those that `arrays` refuses, or some that are not finite.
    """
    sizes, each = [], []
    for place, image in enumerate(arrays(name, images)):
        described = _described(image)
        if not np.isfinite(described).all():
            raise InvalidInput(f"image {place} of {name} must be finite, got NaN or inf; repair it or leave it out.")
        sizes.append(image.shape[1:])
        each.append(described)
    return ImageStatistics(sizes, np.stack(each))


def arrays(name: str, images: Images) -> Iterator[Array]:
    """Each image as an array (channels, height, width) of numbers.

    Raises
    ------
    InvalidInput : no images, one of another shape or number of channels, or without numbers.
    """
    if not len(images):
        raise InvalidInput(f"{name} must hold at least one image, got none.")
    channels = None
    for place, image in enumerate(images):
        array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asanyarray(image)
        if (
            array.ndim != 3
            or array.size == 0
            or array.dtype.kind not in "iuf"
            or len(array) != (channels or len(array))
        ):
            expected = f"{channels} channels as the first" if channels else "numbers"
            raise InvalidInput(
                f"image {place} of {name} must be (channels, height, width) with {expected}, got {array.dtype} of "
                f"shape {array.shape}; a grey image has one channel, image[None], and channels at the end go first by "
                "np.moveaxis(image, -1, 0)."
            )
        channels = len(array)
        yield array


def _described(image: Array) -> Float[Array, "3 channels"]:
    counts, means, stds, tops, at_top = [], [], [], [], []
    for first in range(0, image.shape[1], _ROWS):
        rows = np.asarray(image[:, first : first + _ROWS], np.float64).reshape(len(image), -1)
        counts.append(rows.shape[1])
        with np.errstate(invalid="ignore"):  # of infinite values the callers tell
            means.append(rows.mean(1))
            stds.append(rows.std(1))
        tops.append(rows.max(1))
        at_top.append((rows == tops[-1][:, None]).sum(1))
    with np.errstate(invalid="ignore"):
        mean, std = pooled(np.array(counts), np.array(means), np.array(stds))
    saturated = np.where(np.array(tops) == np.max(tops, axis=0), at_top, 0).sum(0) / sum(counts)
    return np.stack((mean, std, saturated))


def unlike(ranges: Float[Array, "3 2 channels"], std: Float[Array, " channels"], images: Images) -> list[str]:
    """Sentences on `images` that differ from a training set with these `ranges` and this `std`; see `Translator`."""
    found = []
    for place, image in enumerate(arrays("x", images)):
        if len(image) != len(std):
            raise InvalidInput(f"image {place} of x must have {len(std)} channels, got {len(image)}.")
        described = _described(image)
        for channel in range(len(image)):
            low, high = ranges[:, :, channel].T
            for said in _differences(described[:, channel], low, high, float(std[channel])):
                found.append(f"image {place}, channel {channel}: {said}")
    return found


def _differences(of: Array, low: Array, high: Array, std: float) -> Iterator[str]:
    mean, spread, saturated = of
    if not np.isfinite(of).all():
        yield "it has values that are NaN or infinite; repair them, as the network spreads them."
        return
    if not low[MEAN] - std / 2 <= mean <= high[MEAN] + std / 2:
        yield (
            f"its mean is {mean:.4g}, those of the training images lie from {low[MEAN]:.4g} to {high[MEAN]:.4g}; has "
            "it another bit depth, exposure or background?"
        )
    if not low[SPREAD] / 1.5 <= spread <= high[SPREAD] * 1.5:
        yield (
            f"its spread is {spread:.4g}, those of the training images lie from {low[SPREAD]:.4g} to "
            f"{high[SPREAD]:.4g}; has it another bit depth, contrast or density?"
        )
    if saturated > high[SATURATED] + 0.01:
        yield (
            f"{saturated:.0%} of its pixels have its highest value, in the training images at most "
            f"{high[SATURATED]:.1%}; it is saturated, so brighter structures are lost."
        )
