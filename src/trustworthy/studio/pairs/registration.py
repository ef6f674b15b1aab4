"""How far one image is moved against another of the same place, also where they were taken by different means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import ndimage

from trustworthy.core.errors import InvalidInput

LARGEST = 32
"""Shift in pixels, along an axis, up to which is searched; at most a quarter of the side."""
WINDOW = 1024
"""Side in pixels of what is looked at, the middle of the images."""
SMALLEST = 32
"""Side in pixels below which nothing is claimed."""
EDGE = 1.5
"""Standard deviation in pixels of the Gaussian whose gradient marks edges."""
WHITENING = 0.75
"""Exponent by which amplitudes are levelled: 1 is phase correlation, which follows noise where an image is smooth; 0 is
plain correlation, which has broad peaks."""
BROAD = 3
"""Pixels around a peak whose centre of mass is the shift: edges of two means lie beside each other, not on one line."""
NEAR = 4
"""Pixels around a peak that are still the same peak."""
SURE = 0.5
"""Confidence from which on a shift is told. Each of 144 shifts of 0 to 7 px planted in bacteria (bright field,
fluorescence) and drawn cells (phase contrast, fluorescence) was found within 2 px, with .42 or more; images that
do not belong together, and stained cells against their nuclei, where shifts are missed, gave at most .40."""
LEAST = 2.0
"""Distance in pixels from which on a shift is told. Bacteria gave up to 1.7 px where nothing was planted and at least
2.3 px where 3 px were, drawn cells 0.6 px and 2.6 px."""


class Shift(NamedTuple):
    """b is a moved by `dy` pixels down and `dx` to the right. confidence : in [0, 1]; below `SURE` nobody knows."""

    dy: float
    dx: float
    confidence: float

    @property
    def found(self) -> bool:
        """Whether there is a shift for sure: edges of two means may themselves lie a pixel or two apart."""
        return self.confidence >= SURE and math.hypot(self.dy, self.dx) >= LEAST


def shift(a: Num[np.ndarray, "height width"], b: Num[np.ndarray, "height width"]) -> Shift:
    """By how much b is moved against a: the peak of the phase correlation of their edges.

    Edges, not brightness: what is bright by one means may be dark by another, but both end at the same place. The
    confidence is one minus the height of the second peak, as a share of the first.

    Parameters
    ----------
    a, b : finite, of one size, from one place, such as a source and its target, or, which finds more, a prediction and
        its target. A network that was trained on pairs which are all moved alike has learned to move as well: a
        prediction shows the pairs that differ from the rest.

    Returns
    -------
    Shift, of at most `LARGEST` pixels or a quarter of a side. Its confidence is 0 where an image is constant or smaller
    than 32 pixels.

    References
    ----------
    Kuglin, Hines, "The phase correlation image alignment method", 1975.
    """
    if a.shape != b.shape:
        raise InvalidInput(f"a and b must have one size, got {a.shape} and {b.shape}.")
    if min(a.shape) < SMALLEST:
        return Shift(0, 0, 0.0)
    window = middle(a.shape, WINDOW)
    edges = [_edges(np.asarray(image[window], np.float64)) for image in (a, b)]
    if not all(found.any() for found in edges):
        return Shift(0, 0, 0.0)
    heights = _correlation(*edges)
    limit = min(LARGEST, min(a.shape) // 4)
    still = [side // 2 for side in heights.shape]
    near = heights[tuple(slice(at - limit, at + limit + 1) for at in still)].copy()
    peak = tuple(map(int, np.unravel_index(int(np.argmax(near)), near.shape)))
    dy, dx = (at - limit for at in _centre(near, peak))
    first = float(near[peak])
    near[_around(peak, NEAR)] = 0.0
    confidence = 1.0 - max(float(near.max()), 0.0) / first if first > 0 else 0.0
    return Shift(dy, dx, confidence)


def _around(peak: tuple[int, ...], reach: int) -> tuple[slice, ...]:
    return tuple(slice(max(0, at - reach), at + reach + 1) for at in peak)


def _centre(heights: Float[np.ndarray, "height width"], peak: tuple[int, ...]) -> tuple[float, ...]:
    """Of mass of what is positive around a peak."""
    window = _around(peak, BROAD)
    mass = np.maximum(heights[window], 0.0)
    if not mass.any():
        return tuple(map(float, peak))
    return tuple(float(start.start + at) for start, at in zip(window, ndimage.center_of_mass(mass), strict=True))


def middle(size: Sequence[int], side: int) -> tuple[slice, ...]:
    """Where the middle of an image of this size lies, `side` pixels along each axis, or all that there are."""
    return tuple(slice(start := max(0, (length - side) // 2), start + side) for length in size)


def _edges(image: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Steepness, faded to nothing towards the border, whose own edges never move."""
    steep = ndimage.gaussian_gradient_magnitude(image / (np.abs(image).max() or 1.0), EDGE)
    fading = np.outer(*(np.hanning(side + 2)[1:-1] for side in steep.shape))
    return (steep - steep.mean()) * fading


def _correlation(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "height width"]:
    """Likeness of a, moved, and b, for every movement; that by nothing lies in the middle."""
    cross = np.fft.rfft2(b) * np.conj(np.fft.rfft2(a))
    amplitude = np.abs(cross)
    cross /= np.maximum(amplitude, 1e-12 * amplitude.max()) ** WHITENING
    return np.fft.fftshift(np.fft.irfft2(cross, a.shape))
