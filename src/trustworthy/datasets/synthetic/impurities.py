"""What does not belong on a slide: damage, dirt, dye in the wrong place, and cells of another type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trustworthy.datasets.synthetic.scene import MARGIN, Scene, mottle
from trustworthy.datasets.synthetic.shapes import TYPES, CellType, add

Impurity = Callable[[Scene, CellType, np.random.Generator], None]


def _place(scene: Scene, generator: np.random.Generator) -> tuple[float, float]:
    """A place in the picture, at least 10 pixels from its edge."""
    row, column = generator.uniform(MARGIN + 10.0, scene.side - MARGIN - 10.0, 2)
    return row, column


def scratch(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """One to three long grooves in the glass, side by side: thin lines of light that is bent away, no dye."""
    window, down, right = scene.window(*_place(scene, generator), 2.0 * scene.side)
    angle, bend = generator.uniform(0.0, np.pi), generator.uniform(-1.0, 1.0) / (6.0 * scene.side)
    length = generator.uniform(0.3, 1.0) * scene.side
    along = np.cos(angle) * down + np.sin(angle) * right
    across = np.cos(angle) * right - np.sin(angle) * down + bend * along**2
    ends = np.clip((length / 2 - np.abs(along)) / 4.0, 0.0, 1.0)
    for _ in range(generator.integers(1, 4)):
        groove = np.exp(-(((across - generator.normal(0.0, 4.0)) / generator.uniform(0.7, 1.5)) ** 2)) * ends
        scene.phase[window] -= generator.uniform(0.3, 0.8) * groove
        scene.loss[window] += generator.uniform(0.1, 0.6) * groove


def bubble(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """A round bubble of air: a dark rim, a clear middle that acts as a lens, and no dye under it."""
    radius = generator.uniform(7.0, 16.0)
    window, down, right = scene.window(*_place(scene, generator), radius + 6.0)
    r = np.hypot(down, right) / radius
    rim = np.exp(-(((r - 0.93) / 0.09) ** 2))
    inner = np.clip((1.0 - r) * radius / 2.0, 0.0, 1.0)
    scene.phase[window] *= 1.0 - inner
    scene.phase[window] -= inner * 0.9 * np.sqrt(np.maximum(1.0 - r**2, 0.0)) - 0.3 * np.exp(-((r / 0.3) ** 2))
    scene.loss[window] += 2.2 * rim
    scene.dye[window] *= 1.0 - 0.85 * inner
    scene.dye[window] += 0.12 * rim


def dust(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """One to three ragged opaque particles, some with a fibre, which shine by themselves."""
    rough = mottle(scene.side, 5.0, generator)
    for _ in range(generator.integers(1, 4)):
        radius, long = generator.uniform(2.5, 6.0), generator.uniform(1.0, 2.5)
        window, down, right = scene.window(*_place(scene, generator), radius * long + 8.0)
        angle = generator.uniform(0.0, np.pi)
        along = (np.cos(angle) * down + np.sin(angle) * right) / long
        across = np.cos(angle) * right - np.sin(angle) * down
        body = np.clip((radius * (1.0 + 0.35 * rough[window]) - np.hypot(along, across)) / 1.5, 0.0, 1.0)
        scene.loss[window] += generator.uniform(1.5, 3.0) * body
        scene.phase[window] += generator.uniform(0.3, 1.0) * body
        scene.dye[window] += generator.uniform(0.1, 0.5) * body


def speckle(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """A shower of small bright clumps of antibody, each a faint dot under phase contrast."""
    middle = np.array(_place(scene, generator))
    for _ in range(generator.integers(6, 20)):
        row, column = middle + 9.0 * generator.standard_normal(2)
        width = generator.uniform(0.7, 1.6)
        window, down, right = scene.window(row, column, 4.0 * width)
        dot = np.exp(-(down**2 + right**2) / (2.0 * width**2))
        scene.dye[window] += generator.uniform(1.0, 3.0) * dot
        scene.phase[window] += generator.uniform(0.3, 0.6) * dot


def unspecific(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """Antibody that sticks to debris: a cloud of dye, with a grainy film as faint trace under phase contrast."""
    reach = generator.uniform(10.0, 20.0)
    window, down, right = scene.window(*_place(scene, generator), 2.0 * reach)
    rough, fine = mottle(scene.side, 11.0, generator)[window], mottle(scene.side, 1.6, generator)[window]
    distance = np.hypot(down, right) / reach
    cloud = np.clip(1.6 * (1.0 + 0.35 * rough - distance), 0.0, 1.0)
    scene.dye[window] += generator.uniform(0.4, 0.9) * cloud * (1.0 + 0.25 * rough)
    scene.phase[window] += cloud * (0.08 + 0.09 * fine)


def foreign_cells(scene: Scene, kind: CellType, generator: np.random.Generator) -> None:
    """One to three cells with the texture of the other type, in shape halfway to it, which bind little dye."""
    other = next(found for found in TYPES.values() if found is not kind)
    shape = {name: _halfway(getattr(kind, name), getattr(other, name)) for name in ("length", "width", "flat", "bump")}
    foreign = replace(other, **shape, taper=_halfway((kind.taper,), (other.taper,))[0], dye=0.4 * other.dye)
    first = np.array(_place(scene, generator))
    steps = generator.normal(0.0, 1.6 * np.mean(foreign.width), (generator.integers(0, 3), 2))
    add(scene, foreign, np.vstack([first, first + steps]), generator)


def _halfway(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple((x + y) / 2 for x, y in zip(a, b, strict=True))


IMPURITIES: dict[str, Impurity] = {
    "scratch": scratch,
    "bubble": bubble,
    "dust": dust,
    "speckle": speckle,
    "unspecific": unspecific,
    "cells": foreign_cells,
}
