"""Defocus, glass, motion and zoom blur."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage, sparse

Images = Float[np.ndarray, "n c h w"]


def disk_kernel(radius: float, alias: float) -> Float[np.ndarray, "k k"]:
    """Disk of `radius` pixels and mass 1, smoothed by a Gaussian of `alias` pixels, without the zeros around it."""
    # A grid that just holds the disk loses mass at its edge in the smoothing; so does the published one, from radius 8.
    reach = max(8, int(radius))
    squares = np.arange(-reach, reach + 1) ** 2
    disk = (squares[:, None] + squares <= radius**2).astype(float)
    offsets = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    taps = np.exp(-(offsets**2) / (2 * alias**2))
    kernel = disk / disk.sum()
    for axis in (0, 1):
        kernel = ndimage.correlate1d(kernel, taps / taps.sum(), axis=axis, mode="mirror")
    margin = max(0, reach - int(radius) - len(taps) // 2)
    return kernel[margin : len(kernel) - margin, margin : len(kernel) - margin]


def defocus_blur(x: Images, *, radius: float, alias: float) -> Images:
    """Convolution with `disk_kernel`, the image mirrored at its edges."""
    return ndimage.correlate(x, disk_kernel(radius, alias)[None, None], mode="mirror")


def glass_blur(x: Images, *, sigma: float, delta: int, iterations: int, rng: np.random.Generator) -> Images:
    """Gaussian blur, `iterations` rounds of local displacement by at most `delta` pixels, Gaussian blur."""
    out = ndimage.gaussian_filter(x, sigma, axes=(2, 3), mode="nearest")
    n, _, h, w = x.shape
    visits = max(h - 2 * delta, 0) * max(w - 2 * delta, 0)
    for _ in range(iterations):
        out = displaced(out, rng.integers(-delta, delta, size=(n, visits, 2)), delta)
    return ndimage.gaussian_filter(out, sigma, axes=(2, 3), mode="nearest")


def displaced(x: Images, steps: Int[np.ndarray, "n visits 2"], delta: int) -> Images:
    """Visit the inner pixels from the last to the first, each taking the value that its neighbour at (dx, dy) then has.

    The published script means to swap the two pixels, but its array views make the swap of a colour pixel a copy, and
    its data sets hold the copies: so do we. Instead of walking the pixels, the walk is solved: a pixel that reads one
    that was overwritten before ends at the pixel where that chain of reads began.
    """
    n, c, h, w = x.shape
    visited = (np.arange(h - delta, delta, -1)[:, None] * w + np.arange(w - delta, delta, -1)).ravel()
    turns = np.arange(len(visited))
    turn_of = np.full(h * w, len(visited))
    turn_of[visited] = turns
    source = visited + steps[..., 1] * w + steps[..., 0]  # (n, visits): the pixel that each turn reads
    origin_turn = np.minimum(turn_of[source], turns)
    while True:
        further = np.take_along_axis(origin_turn, origin_turn, axis=1)
        if np.array_equal(further, origin_turn):
            break
        origin_turn = further
    origin = np.tile(np.arange(h * w), (n, 1))
    origin[:, visited] = np.take_along_axis(source, origin_turn, axis=1)
    return np.take_along_axis(x.reshape(n, c, h * w), origin[:, None], axis=2).reshape(x.shape)


def motion_blur(x: Images, *, radius: int, sigma: float, rng: np.random.Generator) -> Images:
    """`streaked` in a direction uniform in [-45, 45] degrees, one per image."""
    return streaked(x, radius, sigma, rng.uniform(-45.0, 45.0, size=len(x)))


def streaked(x: Images, radius: int, sigma: float, degrees: Float[np.ndarray, " n"]) -> Images:
    """Average along a ray with half-Gaussian weights, as ImageMagick's motion blur: whole pixels, edges repeated."""
    taps = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).astype(x.dtype)
    taps = taps[taps > np.finfo(x.dtype).eps ** 2]  # the rest is lost to rounding
    ray = np.deg2rad(degrees)[:, None]
    reach = len(taps) - 1
    rows = np.ceil(np.arange(len(taps)) * np.sin(ray) - 0.5).astype(int) + reach
    columns = np.ceil(np.arange(len(taps)) * np.cos(ray) - 0.5).astype(int) + reach
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    out = np.zeros_like(x)
    h, w = x.shape[2:]
    for image, source, tops, lefts in zip(out, padded, rows.tolist(), columns.tolist(), strict=True):
        for tap, top, left in zip(taps, tops, lefts, strict=True):
            image += tap * source[:, top : top + h, left : left + w]
    return out


WHOLE = 28
"""Side in pixels, that of MNIST, from which on `zoom_blur` zooms as the published script does.

That script crops to whole pixels, which leaves an image of 8 pixels as it is up to a zoom by 1.06, and shifts those of
12 to 19 so that a higher severity changes less.
"""


def zoom_blur(x: Images, *, maximum: float, step: float) -> Images:
    """Mean of the image and its zooms about the centre by 1, 1 + step, ..., up to `maximum`."""
    n, c, h, w = x.shape
    factors = np.arange(1, maximum, step)  # rounding decides, as in the published script, whether `maximum` takes part
    total = sparse.eye_array(h * w, format="csr")
    for factor in factors.tolist():
        rows, columns = (
            sparse.csr_array(zoom_matrix(side, factor) if side >= WHOLE else exact_zoom(side, factor))
            for side in (h, w)
        )
        total = total + sparse.kron(rows, columns, format="csr")
    mean = (total / (len(factors) + 1)).astype(x.dtype)
    return (mean @ x.reshape(n * c, h * w).T).T.reshape(x.shape)


def exact_zoom(side: int, factor: float) -> Float[np.ndarray, "side side"]:
    """Linear map that stretches a line of `side` pixels about its middle, by interpolation and cropping nothing."""
    middle = (side - 1) / 2
    source = middle + (np.arange(side) - middle) / factor
    return np.maximum(1.0 - np.abs(source[:, None] - np.arange(side)), 0.0)


def zoom_matrix(side: int, factor: float) -> Float[np.ndarray, "side side"]:
    """Linear map that crops the middle of a line of `side` pixels and stretches it back to `side` by interpolation."""
    crop = int(np.ceil(side / factor))
    stretched: np.ndarray = np.asarray(ndimage.zoom(np.eye(crop), (factor, 1), order=1))
    start, trim = (side - crop) // 2, (len(stretched) - side) // 2
    matrix = np.zeros((side, side))
    matrix[:, start : start + crop] = stretched[trim : trim + side]
    return matrix
