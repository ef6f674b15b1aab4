"""From a slide to two pictures of it: a phase-contrast and an epifluorescence microscope."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from trustworthy.core import checks
from trustworthy.datasets.synthetic.scene import MARGIN, Plane, Scene, smooth

RING = 0.45
"""Amplitude that the phase ring lets through: with 0.45 it takes away four fifths of the direct light."""
BACKGROUND = 0.45
"""Brightness of an empty place under phase contrast."""
DARK = 0.04
"""Brightness of an empty place under fluorescence: what the medium and the camera add."""
Picture = Float32[np.ndarray, "size size"]


@dataclass(frozen=True, kw_only=True)
class Optics:
    """A microscope that takes both pictures of a field.

    Parameters
    ----------
    halo : share, in [0, 1], of the direct light in which scattered light is mixed up because the ring is not infinitely
        thin: 0 is ideal phase contrast, larger values give brighter halos around cells and paler insides (shade-off).
    halo_width : deviation in pixels, > 0, of the halo.
    defocus : deviation in pixels, >= 0, of the blur of both pictures.
    uneven_light : by which share the light falls or rises from the middle of the field to its corner, in [0, 1).
    shot_noise : standard deviation of the noise at brightness 1, >= 0; at brightness b it is sqrt(b) times that, as
        of 1 / shot_noise**2 photons.
    """

    halo: float = 0.8
    halo_width: float = 4.5
    defocus: float = 0.6
    uneven_light: float = 0.12
    shot_noise: float = 0.02

    def __post_init__(self) -> None:
        checks.real("halo", self.halo, at_least=0.0, at_most=1.0)
        checks.real("halo_width", self.halo_width, above=0.0)
        checks.real("defocus", self.defocus, at_least=0.0)
        checks.real("uneven_light", self.uneven_light, at_least=0.0, at_most=0.99)
        checks.real("shot_noise", self.shot_noise, at_least=0.0)

    def pictures(self, scene: Scene, generator: np.random.Generator) -> tuple[Picture, Picture]:
        """Phase contrast and fluorescence of `scene` without noise, each in [0, 1] up to its highlights."""
        light = [self._light(scene.side, generator) for _ in range(2)]
        seen = self._phase_contrast(scene), self._fluorescence(scene)
        inside = slice(MARGIN, -MARGIN)
        source, target = (
            np.asarray(picture * lamp, np.float32)[inside, inside] for picture, lamp in zip(seen, light, strict=True)
        )
        return source, target

    def noise(self, picture: Picture, generator: np.random.Generator) -> Picture:
        """The picture as the camera counts it, in [0, 1]."""
        grain = generator.standard_normal(picture.shape, dtype=np.float32)
        return np.clip(picture + self.shot_noise * np.sqrt(picture.clip(0.0)) * grain, 0.0, 1.0, dtype=np.float32)

    def _phase_contrast(self, scene: Scene) -> Plane:
        """|u + (ring e^(-i pi/2) - 1) b|^2: the direct light b is dimmed and a quarter wave behind the rest of u."""
        u = np.exp(np.complex64(1j) * scene.phase)
        b = np.float32(1.0 - self.halo) * u.mean() + np.float32(self.halo) * smooth(u, self.halo_width)
        rest = u - np.complex64(1.0 + 1j * RING) * b
        seen = BACKGROUND * (rest.real**2 + rest.imag**2) / RING**2 * np.exp(-smooth(scene.loss, 0.7))
        return smooth(seen / np.cbrt(1.0 + seen**3), self.defocus)  # a shoulder: the brightest places stay below 1

    def _fluorescence(self, scene: Scene) -> Plane:
        return DARK + (1.0 - DARK) * smooth(1.0 - np.exp(-scene.dye), self.defocus + 0.4)

    def _light(self, side: int, generator: np.random.Generator) -> Plane:
        """A lamp that is not quite in the middle: 1 on average, lower or higher towards one side."""
        x = np.linspace(-1.0, 1.0, side, dtype=np.float32)
        angle, bend = generator.uniform(0.0, 2 * np.pi), generator.uniform(-0.5, 0.0)
        slope = math.cos(angle) / 1.5 * x[:, None] + math.sin(angle) / 1.5 * x[None, :]
        bowl = (x[:, None] ** 2 + x[None, :] ** 2) / 2 - 1 / 3
        return 1.0 + self.uneven_light * (slope + bend * bowl)
