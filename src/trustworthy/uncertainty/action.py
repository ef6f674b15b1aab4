"""What an uncertainty map ends in: where not to trust it, which images to look at first, how much a person gets."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.files import atomic_write
from trustworthy.uncertainty.conformal.intervals import Intervals


@dataclass(frozen=True, eq=False)
class Review:
    """What is left to a person.

    mask : (n, *shape) True where the prediction is not to be trusted.
    tolerance : the error that is still of use, in the units of the prediction.
    """

    mask: Bool[np.ndarray, "n *shape"]
    tolerance: float

    @property
    def untrusted(self) -> Float[np.ndarray, " n"]:
        """Share of each image that is not to be trusted."""
        return self.mask.reshape(len(self.mask), -1).mean(1)

    @property
    def order(self) -> Int[np.ndarray, " n"]:
        """Indices of the images, the one that most needs a person first; equal ones in the order given."""
        return np.argsort(-self.untrusted, kind="stable")

    @property
    def area(self) -> float:
        """Share of all pixels that a person gets, in [0, 1]."""
        return float(self.mask.mean())

    def save(self, folder: str | os.PathLike[str], names: Sequence[str]) -> None:
        """Write masks/NAME.png, white where not to trust, and review.csv, one line an image, the neediest first.

        For images (n, height, width) or (n, channels, height, width): there a pixel is not to be trusted if any of its
        channels is not. names : one for each image, all different.
        """
        from PIL import Image

        if self.mask.ndim not in (3, 4) or not len(names) == len(set(names)) == len(self.mask):
            raise InvalidInput(
                "save needs images (n, height, width) or (n, channels, height, width) and a name of its own for each, "
                f"got shape {self.mask.shape} and {len(names)} names, {len(set(names))} of them different."
            )
        for name, mask in zip(names, self.mask, strict=True):
            with atomic_write(Path(folder, "masks", f"{name}.png"), "wb") as stream:
                Image.fromarray(mask.any(0) if mask.ndim == 3 else mask).save(stream, "png")
        with atomic_write(Path(folder, "review.csv")) as stream:
            lines = csv.writer(stream, lineterminator="\n")
            lines.writerow(["image", "share_not_trusted"])
            lines.writerows([names[index], f"{self.untrusted[index]:.6g}"] for index in self.order)


def review(intervals: Intervals, tolerance: float) -> Review:
    """Hand to a person what may be wrong by more than `tolerance`: where half of the interval is wider.

    What is trusted and yet further off than `tolerance` lies outside of its interval. So the promise of calibrated maps
    holds here too: of a new image, the expected share that is trusted and wrong is at most their `risk`.

    Parameters
    ----------
    intervals : calibrated `Intervals` or `Maps`. tolerance : >= 0, in the units of the prediction.
    """
    limit = checks.real("tolerance", tolerance, at_least=0.0)
    return Review(intervals.half_width > limit, limit)
