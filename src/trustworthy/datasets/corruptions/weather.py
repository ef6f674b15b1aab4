"""Snow, frost, fog and brightness, and the plasma fractals behind frost and fog."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from trustworthy.datasets.corruptions.blur import streaked, zoom_matrix

Images = Float[np.ndarray, "n c h w"]

LUMINANCE = np.array([0.299, 0.587, 0.114])


def snow(
    x: Images,
    *,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
    rng: np.random.Generator,
) -> Images:
    """Whiten the image and add flakes: thresholded, zoomed Gaussian noise, streaked downwards, and the same turned."""
    n, c, h, w = x.shape
    flakes = zoom_matrix(h, zoom) @ rng.normal(mean, spread, (n, 1, h, w)) @ zoom_matrix(w, zoom).T
    flakes = np.where(flakes < threshold, 0.0, np.minimum(flakes, 1.0))
    flakes = streaked(flakes, radius, sigma, rng.uniform(-135.0, -45.0, size=n))
    grey = np.tensordot(x, LUMINANCE, (1, 0))[:, None] if c == 3 else x
    whitened = keep * x + (1 - keep) * np.maximum(x, 1.5 * grey + 0.5)
    return whitened + flakes + flakes[:, :, ::-1, ::-1]


def frost(x: Images, *, keep: float, amount: float, rng: np.random.Generator) -> Images:
    """keep x + amount f, with f from `frost_texture`.

    The published corruption takes f from six photographs. Ours is procedural, so its numbers are not comparable with
    published ones.
    """
    return keep * x + amount * frost_texture(x.shape, rng)


def frost_texture(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Ice in [0, 1]: crystal needles in three directions over a cloudy layer, of random brightness and bluish tint."""
    n, c, h, w = shape
    length = max(2, min(h, w) // 16)
    margin = 2 * length  # the reach of a needle: its noise begins outside the image
    layers = [
        streaked(
            rng.normal(size=(n, 1, h + 2 * margin, w + 2 * margin)), length, 0.75 * length, rng.uniform(0.0, 360.0, n)
        )
        for _ in range(3)
    ]
    needles = np.max(layers, axis=0)[:, :, margin : margin + h, margin : margin + w]
    crystals = _standardised(_standardised(needles) + 0.6 * _standardised(plasma(n, h, w, 1.5, rng)[:, None]))
    # Brightness, contrast and tint span what was measured on 32-pixel crops of the published photographs.
    ice = rng.uniform(0.45, 0.8, (n, 1, 1, 1)) + 0.1 * crystals
    if c == 3:
        ice = ice + rng.uniform(0.0, 0.1, (n, 1, 1, 1)) * np.array([-1.0, 0.0, 0.7])[:, None, None]
    return np.clip(ice, 0.0, 1.0)


def _standardised(texture: Images) -> Images:
    centred = texture - texture.mean(axis=(2, 3), keepdims=True)
    return centred / centred.std(axis=(2, 3), keepdims=True)


def fog(x: Images, *, amount: float, decay: float, rng: np.random.Generator) -> Images:
    """(x + amount p) m / (m + amount), with p a plasma fractal and m the brightest value of the image."""
    n, _, h, w = x.shape
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    return (x + amount * plasma(n, h, w, decay, rng)[:, None]) * brightest / (brightest + amount)


def plasma(n: int, h: int, w: int, decay: float, rng: np.random.Generator) -> Float[np.ndarray, "n h w"]:
    """`n` height maps in [0, 1] by the diamond-square algorithm, cut from squares of the next power of two.

    Each octave puts a point in the middle of every square, then of every diamond, at the mean of its four neighbours
    (the map is a torus) plus uniform noise; the noise shrinks by `decay` squared from one octave to the next.
    """
    side = 1 << (max(h, w) - 1).bit_length()
    height = np.zeros((n, side, side))
    amplitude, step = 1.0, side
    while step >= 2:
        half = step // 2
        corners = height[:, ::step, ::step]
        centres = height[:, half::step, half::step]
        noise = amplitude * rng.uniform(-1.0, 1.0, (3, *centres.shape))
        rightward, downward = corners + np.roll(corners, -1, axis=2), corners + np.roll(corners, -1, axis=1)
        centres[:] = (rightward + np.roll(rightward, -1, axis=1)) / 4 + noise[0]
        height[:, ::step, half::step] = (rightward + centres + np.roll(centres, 1, axis=1)) / 4 + noise[1]
        height[:, half::step, ::step] = (downward + centres + np.roll(centres, 1, axis=2)) / 4 + noise[2]
        amplitude, step = amplitude / decay**2, half
    height -= height.min(axis=(1, 2), keepdims=True)
    height /= height.max(axis=(1, 2), keepdims=True)
    return height[:, :h, :w]


def brightness(x: Images, *, offset: float) -> Images:
    """Raise the V of hue, saturation, value by `offset`, at most to 1; of a grey image, the value itself."""
    value = x.max(axis=1, keepdims=True)
    raised = np.minimum(value + offset, 1.0)
    # At fixed hue and saturation the channels are proportional to V; black has no hue and becomes grey.
    return np.where(value > 0, x * (raised / np.where(value > 0, value, 1.0)), raised)
