"""What lies on a synthetic slide: how long the light is held up, how much is lost, how much dye there is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32
from scipy import fft

MARGIN = 16
"""Pixels drawn beyond each edge of a field, so that what lies outside casts its halo inwards and nothing wraps."""

Plane = Float32[np.ndarray, "side side"]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Scene:
    """Three planes of one field with its margin, to which shapes are added in place.

    phase : radians by which light is delayed, against the medium.
    loss : optical density (natural), >= 0, of what lies in the way of the lamp.
    dye : amount of fluorescent dye, 1 for a strongly stained cell.
    """

    phase: Plane
    loss: Plane
    dye: Plane

    @classmethod
    def empty(cls, size: int) -> Scene:
        """A field of `size` pixels a side, with nothing in it."""
        side = size + 2 * MARGIN
        return cls(*(np.zeros((side, side), np.float32) for _ in range(3)))

    @property
    def side(self) -> int:
        return len(self.phase)

    def window(
        self, row: float, column: float, reach: float, across: float | None = None
    ) -> tuple[Window, Float32[np.ndarray, "rows 1"], Float32[np.ndarray, "1 columns"]]:
        """Slices of the pixels within `reach` rows and `across` columns of a place, and how far off it they lie."""
        places = ((row, reach), (column, reach if across is None else across))
        rows, columns = (slice(max(0, int(at - far)), max(0, min(self.side, int(at + far) + 2))) for at, far in places)
        down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(row)
        right = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(column)
        return (rows, columns), down, right


@lru_cache(maxsize=16)
def _bell(side: int, sigma: float) -> Float[np.ndarray, "side side"]:
    """Spectrum of a Gaussian of deviation `sigma` pixels."""
    line = np.exp(-2.0 * (np.pi * sigma * fft.fftfreq(side)) ** 2)
    return np.outer(line, line).astype(np.float32)


def smooth(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Convolve a square plane, real or complex, with a Gaussian of deviation `sigma` pixels; edges wrap."""
    if sigma == 0.0:
        return plane
    bell = _bell(len(plane), float(sigma))
    if np.iscomplexobj(plane):
        return np.asarray(fft.ifft2(np.asarray(fft.fft2(plane)) * bell))
    half = bell[:, : len(plane) // 2 + 1]
    return np.asarray(fft.irfft2(np.asarray(fft.rfft2(plane)) * half, s=plane.shape))


def mottle(side: int, grain: float, generator: np.random.Generator) -> Plane:
    """Smooth noise of mean 0 and deviation 1 whose spots are about `grain` pixels across."""
    rough = smooth(generator.standard_normal((side, side), dtype=np.float32), grain / 2)
    return ((rough - rough.mean()) / rough.std()).astype(np.float32)
