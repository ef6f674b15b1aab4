"""Cells as geometry: outlines along a bent axis, a nucleus, granules, and the dye that binds to their surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import beta

from trustworthy.datasets.synthetic.scene import MARGIN, Plane, Scene, mottle

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CellType:
    """How cells of one type look; a range is that of a uniform draw for each cell. Lengths are in pixels.

    length, width : half of each, along and across the axis.
    taper : how fast the width falls off towards the ends: 0.5 is an ellipse, 1.5 a spindle.
    tails : share of the width that thin processes at the ends have.
    fan : how much wider one end is than the other (a leading edge), in widths.
    bend : how far the ends of the axis lie off its middle, in half lengths.
    flat, bump : phase in radians of the spread part, and of the thick part around the nucleus.
    nucleus : half axes of the nucleus, in half widths.
    grain, granules : size of the granules, and their contrast as a share of the local phase.
    fibres : phase in radians of fibres along the axis.
    dye, rim, puncta : how much of the surface marker a cell binds (before its own share, which grows with its
        granules), how much more of it where the surface is steep, and how much of it sits in spots.
    clustered : share of the cells that grow next to another one.
    """

    length: Range
    width: Range
    taper: float
    tails: float
    fan: Range
    bend: float
    flat: Range
    bump: Range
    nucleus: tuple[float, float]
    grain: float
    granules: Range
    fibres: float
    dye: float
    rim: float
    puncta: float
    clustered: float

    @property
    def area(self) -> float:
        """About how many pixels a cell covers."""
        filled = 0.8 * beta(0.5, self.taper + 1.0) + 12 / 7 * self.tails  # of the outline, from -1 to 1
        return float(filled * np.mean(self.length) * np.mean(self.width) * 2.0)


TYPES = {
    "msc": CellType(
        length=(28.0, 46.0), width=(6.0, 10.5), taper=1.5, tails=0.2, fan=(0.0, 0.9), bend=0.3, flat=(0.12, 0.26),
        bump=(0.2, 0.34), nucleus=(1.0, 0.6), grain=1.8, granules=(0.08, 0.45), fibres=0.03,
        dye=0.55, rim=0.6, puncta=0.6, clustered=0.0,
    ),
    "lncap": CellType(
        length=(10.0, 16.0), width=(6.0, 8.5), taper=0.6, tails=0.15, fan=(0.0, 0.3), bend=0.15, flat=(0.22, 0.36),
        bump=(0.18, 0.34), nucleus=(0.75, 0.62), grain=3.0, granules=(0.1, 0.45), fibres=0.0,
        dye=0.6, rim=1.0, puncta=0.3, clustered=0.7,
    ),
}  # fmt: skip

COVERAGE = {"very sparse": 0.06, "sparse": 0.2, "dense": 0.5, "very dense": 1.1}
"""Area of the cells over that of the field, overlaps counted twice."""


def grow(scene: Scene, kind: CellType, coverage: float, generator: np.random.Generator) -> None:
    """Add a Poisson number of cells of one type, at least one, that make up `coverage` of the area on average."""
    count = max(1, int(generator.poisson(coverage * scene.side**2 / kind.area)))
    add(scene, kind, _places(scene.side, kind, count, generator), generator)


def add(scene: Scene, kind: CellType, places: np.ndarray, generator: np.random.Generator) -> None:
    """Add cells of one type with their middles at `places` (row, column); neighbours lie nearly in one direction."""
    texture = mottle(scene.side, kind.grain, generator)
    swirl = generator.uniform(0.0, 2 * np.pi, 4)
    for row, column in places:
        wave = np.sin(swirl[1] + 0.02 * row) + np.sin(swirl[2] + 0.02 * column)
        _cell(scene, kind, row, column, swirl[0] + wave + 0.35 * generator.standard_normal(), texture, generator)


def _places(side: int, kind: CellType, count: int, generator: np.random.Generator) -> np.ndarray:
    """Places that avoid each other, each the farthest from all earlier ones among a few, save for those in clusters."""
    places = np.empty((count, 2))
    places[0] = generator.uniform(1.5 * MARGIN, side - 1.5 * MARGIN, 2)  # at least one cell lies in the picture
    for number in range(1, count):
        offered = generator.uniform(0.0, side, (6, 2))
        if generator.random() < kind.clustered:
            angle, mothers = generator.uniform(0.0, 2 * np.pi, 6), places[generator.integers(number, size=6)]
            offered = (mothers + 2.0 * np.mean(kind.width) * np.stack([np.cos(angle), np.sin(angle)], 1)) % side
        nearest = ((offered[:, None] - places[None, :number]) ** 2).sum(-1).min(1)
        places[number] = offered[nearest.argmax()]
    return places


def _cell(
    scene: Scene,
    kind: CellType,
    row: float,
    column: float,
    angle: float,
    texture: Plane,
    generator: np.random.Generator,
) -> None:
    length, width, fan, flat, bump, granules = (
        generator.uniform(*given) for given in (kind.length, kind.width, kind.fan, kind.flat, kind.bump, kind.granules)
    )
    bend, wave, share = (
        generator.normal(0.0, kind.bend),
        generator.uniform(0.0, 2 * np.pi, 3).tolist(),
        generator.normal(),
    )
    cos, sin, wide = math.cos(angle), math.sin(angle), 2.2 * width + abs(bend) * length
    reach = abs(cos) * 1.1 * length + abs(sin) * wide, abs(sin) * 1.1 * length + abs(cos) * wide
    (rows, columns), down, right = scene.window(row, column, *reach)
    along = (cos / length) * down + (sin / length) * right  # -1 to 1 from end to end
    across = cos * right - sin * down - bend * length * (along**2 - 0.2)
    near = np.nonzero((np.abs(along) < 1.0) & (np.abs(across) < 2.2 * width))
    along, across = along[near], across[near]
    place = near[0] + rows.start, near[1] + columns.start

    outline = np.maximum(1.0 - (along / 0.8) ** 2, 0.0) ** kind.taper + kind.tails * (1.0 - along**6)
    outline += 0.8 * fan * np.exp(-(((along - 0.68) / 0.22) ** 2))
    outline *= 1.0 + 0.12 * np.sin(4.0 * along + wave[0]) + 0.1 * np.sign(across) * np.sin(6.0 * along + wave[1])
    half = width * np.maximum(outline, 1e-3)  # half the width here
    depth = 1.0 - (across / half) ** 2  # 1 on the axis, 0 on the outline
    inside = np.clip(depth * half / 2.0, 0.0, 1.0)
    dome = np.sqrt(np.maximum(depth, 0.0))
    from_middle = along * length
    core = np.exp(-((from_middle / (1.7 * width)) ** 2) - (across / width) ** 2)
    long, short = kind.nucleus[0] * width, kind.nucleus[1] * width
    nucleus = np.clip(4.0 * (1.0 - (from_middle / long) ** 2 - (across / short) ** 2), 0.0, 1.0)
    spot = np.exp(
        -((from_middle - 0.45 * long * math.sin(wave[2])) ** 2 + (across - 0.4 * short * math.cos(wave[2])) ** 2) / 1.6
    )

    grain = texture[place]
    grains = granules * grain * (1.0 - 0.85 * nucleus) * (0.25 + core)
    fibres = kind.fibres * np.sin(2.2 * across + 2.0 * along + wave[2]) * dome
    thick = (flat * (0.35 + 0.65 * dome) + bump * core) * (1.0 + grains - 0.25 * nucleus)
    scene.phase[place] += inside * (thick + fibres + 0.3 * spot * nucleus)

    own = (
        kind.dye * (0.5 + 1.6 * granules) * math.exp(0.12 * share)
    )  # more granular cells bind more: seen in the source
    steep, spots = kind.rim * (1.0 - dome) ** 2, kind.puncta * np.maximum(grain - 0.3, 0.0) ** 1.5 * (0.3 + core)
    scene.dye[place] += inside * own * (0.5 + steep + spots) * (1.0 + 0.35 * along) * (1.0 - 0.45 * nucleus)
