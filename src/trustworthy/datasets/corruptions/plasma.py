"""Plasma fractals by the diamond-square algorithm, the texture behind fog and frost."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def plasma(n: int, h: int, w: int, decay: float, rng: np.random.Generator) -> Float[np.ndarray, "n h w"]:
    """`n` height maps in [0, 1], cut from squares whose side is the power of two that holds them.

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
