"""Colours and curves of the results pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCALES: dict[str, tuple[str, ...]] = {
    "uncertainty": (
        "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
    ),
    "error": ("#000004", "#1d1147", "#51127c", "#832681", "#b73779", "#e75263", "#fc8961", "#fec488", "#fcfdbf"),
}  # fmt: skip
"""Viridis and magma at nine equal steps: as far apart to the eye as the numbers are, for the colour-blind too."""


def palette(role: str) -> list[int]:
    """256 colours of a scale, red, green, blue after each other."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in SCALES[role]])
    places = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.interp(places, range(len(stops)), c) for c in stops.T], 1).round().astype(int).ravel().tolist()


@dataclass(frozen=True)
class Calibration:
    """The curve of what was promised and what came true, in a square whose diagonal is "as promised".

    points : (predicted, observed), shares in [0, 1].
    """

    points: Sequence[tuple[float, float]]
    side: int = 220

    @property
    def places(self) -> list[tuple[float, float]]:
        """Of the points, from the upper left corner."""
        return [(round(x * self.side, 1), round(self.side - y * self.side, 1)) for x, y in self.points]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Distance from the origin, and its number."""
        return [(self.side * share, f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
