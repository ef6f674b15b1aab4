"""Bounding boxes of what a mask marks, as people draw them around impurities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from trustworthy.core import checks

Box = tuple[int, int, int, int]


def boxes(mask: Bool[np.ndarray, "height width"], *, gap: int = 8) -> list[Box]:
    """Boxes (top, left, bottom, right) around the connected parts of a mask, the last two exclusive.

    gap : parts with fewer than this many pixels, >= 1, between them share a box, as the dots of a shower do.
    """
    checks.integer("gap", gap, at_least=1)
    # Parts that are widened by half of the gap touch; where they are is looked up in the mask itself.
    near = ndimage.maximum_filter(mask, size=gap) if gap > 1 else mask
    labels, count = ndimage.label(near, np.ones((3, 3), int))  # pyright: ignore[reportGeneralTypeIssues]
    found = ndimage.find_objects(np.where(mask, labels, 0), count)
    return [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in (box for box in found if box)]


def boxed(masks: Bool[np.ndarray, "n height width"], *, gap: int = 8) -> Bool[np.ndarray, "n height width"]:
    """Masks that are true everywhere in the boxes of `boxes`: the truth of section 5.3, where only boxes are known."""
    filled = np.zeros_like(masks)
    for row, mask in enumerate(masks):
        for top, left, bottom, right in boxes(mask, gap=gap):
            filled[row, top:bottom, left:right] = True
    return filled
