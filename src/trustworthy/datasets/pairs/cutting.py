"""Parts of large images: random patches, and one part to learn from beside one to be judged by."""

from __future__ import annotations

import numpy as np

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.image_pairs import ImagePairs


def patches(pairs: ImagePairs, size: int, count: int, *, seed: int = 0) -> ImagePairs:
    """Square patches, the same of both images, each from a random place of a random pair.

    Parameters
    ----------
    pairs : with images of at least `size` pixels a side.
    size : side in pixels. count : how many, >= 1; they may overlap. seed : >= 0.

    Returns
    -------
    ImagePairs : called "NAME/number" after their image, which is also their group where there is none: patches of one
        image are not independent of each other.
    """
    checks.integer("count", count, at_least=1)
    height, width = pairs.source.shape[2:]
    checks.integer("size", size, at_least=1, at_most=min(height, width))
    generator = numpy_generator(seed, "patches", pairs.name)
    rows = generator.integers(len(pairs), size=count)
    tops, lefts = generator.integers(height - size + 1, size=count), generator.integers(width - size + 1, size=count)

    def cut(images: np.ndarray) -> np.ndarray:
        places = zip(rows, tops, lefts, strict=True)
        return np.stack([images[row, ..., top : top + size, left : left + size] for row, top, left in places])

    groups = pairs.groups or pairs.names
    return pairs.each(
        cut,
        f"Patches of {size} pixels at random places.",
        names=tuple(f"{pairs.names[row]}/{number}" for number, row in enumerate(rows)),
        groups=tuple(groups[row] for row in rows),
    )


def spatial_split(pairs: ImagePairs, *, test: float = 0.25, gap: int = 32) -> tuple[ImagePairs, ImagePairs]:
    """Cut every image in two: the left part to train on, the right one to test on, for where there is but one field.

    Parameters
    ----------
    test : share of the width of the right part, in (0, 1).
    gap : columns, >= 0, between the two that are in neither, so that what a model sees of one is not in the other:
        about the reach of its receptive field.

    Returns
    -------
    (train, test). Both are of one slide and one day: what is measured on the second says nothing about other slides.
    """
    share, between = checks.real("test", test, above=0.0), checks.integer("gap", gap, at_least=0)
    width = pairs.source.shape[3]
    right = round(share * width)
    left = width - right - between
    if left < 1 or right < 1:
        raise InvalidInput(
            f"test and gap must leave columns on both sides, got {share:g} and {between} of {width} columns."
        )
    return _columns(pairs, slice(0, left)), _columns(pairs, slice(width - right, width))


def _columns(pairs: ImagePairs, kept: slice) -> ImagePairs:
    return pairs.each(lambda images: images[..., kept], f"Columns {kept.start} to {kept.stop - 1}.")
