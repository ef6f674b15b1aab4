"""Fields of cells as a phase-contrast and as a fluorescence microscope would see them, with known impurities.

They stand in for the microscopy of chapter 5, which was never published: mesenchymal stromal cells (MSC) and LNCaP
cells under phase contrast at 20x, with an antibody against a surface marker.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.image_pairs import ImagePairs
from trustworthy.datasets.synthetic.impurities import IMPURITIES, Impurity
from trustworthy.datasets.synthetic.optics import Optics, Picture
from trustworthy.datasets.synthetic.scene import Scene
from trustworthy.datasets.synthetic.shapes import COVERAGE, TYPES, grow

VISIBLE = 0.02
"""Least change of brightness, noise aside, by which a pixel counts as changed by an impurity."""
Field = tuple[Picture, Picture, Bool[np.ndarray, "size size"]]


def cells(
    fields: int,
    *,
    size: int = 128,
    density: str = "sparse",
    kind: str = "msc",
    optics: Optics | None = None,
    impurities: Sequence[str] = (),
    share: float = 1.0,
    seed: int = 0,
) -> ImagePairs:
    """Draw pairs of pictures of cells: phase contrast as the source, a surface marker's fluorescence as the target.

    The target follows from the same geometry: more dye where the surface is steep, in spots where the source shows
    granules, in cells that are more granular, towards the wider end of a cell, less over the nucleus. A little of it
    does not follow (a factor for each cell, noise), so no model is perfect.

    Parameters
    ----------
    fields : pairs wanted, >= 1. Field k is the same however many there are.
    size : side in pixels, >= 32; a pixel is about 1.3 micrometres (20x, binned by two).
    density : "very sparse", "sparse", "dense" or "very dense": 6, 20, 50 or 110 % of the area in cells, overlaps
        counted twice; at least one cell.
    kind : "msc", long and spread cells side by side; "lncap", round and thick ones that grow in clumps.
    optics : the microscope; None for that of `Optics()`.
    impurities : what may lie in a field, of "scratch", "bubble", "dust", "speckle" (clumps of antibody), "unspecific"
        (antibody on debris) and "cells" (one to three of the other kind); a field that is struck has one of them. The
        two of antibody are bright in the target and faint in the source.
    share : probability, in [0, 1], that a field is struck. In the dissertation's MSC-Impurities 25 % of them are.
    seed : >= 0. Without impurities the same seed gives the same cells, light and noise.

    Returns
    -------
    ImagePairs : float32 in [0, 1], (fields, 1, size, size). `masks` are the pixels that an impurity changes by more
        than 0.02 in either picture, with the holes in them; all others are bit for bit as without it. `groups` is the
        density.

    Notes
    -----
    Light that passes a cell is delayed by its thickness and granules. Phase contrast is computed from that wave
    (Yin et al.), so halos, shade-off and the brightness of thick cells are those of the optics. About 10 ms a field of
    128 x 128.

    References
    ----------
    Yin, Kanade, Chen, "Understanding the phase contrast optics to restore artifact-free microscopy images for
    segmentation", 2012.
    """
    count, side = checks.integer("fields", fields, at_least=1), checks.integer("size", size, at_least=32)
    coverage, cell = checks.choice("density", density, COVERAGE), checks.choice("kind", kind, TYPES)
    checks.real("share", share, at_least=0.0, at_most=1.0)
    if isinstance(impurities, str):
        raise InvalidInput(f"impurities must be a sequence of names, got {impurities!r}; write ({impurities!r},).")
    kinds = [checks.choice("impurity", name, IMPURITIES) for name in impurities]
    microscope = optics or Optics()

    def field(number: int) -> Field:
        def stream(*names: object) -> np.random.Generator:
            return numpy_generator(seed, "cells", kind, density, number, *names)

        scene = Scene.empty(side)
        grow(scene, cell, coverage, stream("shapes"))
        source, target = microscope.pictures(scene, stream("light"))
        mask = np.zeros((side, side), bool)
        chance = stream("impurity")
        if kinds and chance.random() < share:
            struck: Impurity = kinds[chance.integers(len(kinds))]
            struck(scene, cell, chance)
            spoilt = microscope.pictures(scene, stream("light"))
            mask = _changed((source, target), spoilt)
            source, target = (np.where(mask, *both) for both in zip(spoilt, (source, target), strict=True))
        return microscope.noise(source, stream("source")), microscope.noise(target, stream("target")), mask

    sources, targets, masks = (np.stack(parts) for parts in zip(*map(field, range(count)), strict=True))
    names = tuple(f"{kind}-{density.replace(' ', '-')}-{seed}-{number:04d}" for number in range(count))
    return ImagePairs(
        name=f"cells/{kind}",
        source=sources[:, None],
        target=targets[:, None],
        names=names,
        masks=masks if kinds else None,
        groups=(density,) * count,
        provenance="Synthetic: trustworthy.datasets.synthetic.cells.",
    )


def _changed(before: Sequence[Picture], after: Sequence[Picture]) -> Bool[np.ndarray, "size size"]:
    differs = np.logical_or(*(np.abs(a - b) > VISIBLE for a, b in zip(before, after, strict=True)))
    return np.asarray(ndimage.binary_fill_holes(differs))
