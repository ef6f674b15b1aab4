"""Pairs of images to learn from and to be tested on: procedural cells for MSC and LNCaP, and three real sets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reproduce.data import without_folder
from reproduce.runner import NotRun
from trustworthy.datasets.pairs import ImagePairs, load_pairs, paste, patches, spatial_split

DENSITIES = ("very-sparse", "sparse", "dense", "very-dense")
DONORS = {"ecoli": "ebimage", "ebimage": "ecoli", "phase-contrast": "ebimage"}
"""The set whose discs are pasted into each real set."""
DISC = 0.4
"""Width of a disc, as a share of the image's."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Sources and targets (n, channels, side, side), standardised by the training images; `masks` of the foreign."""

    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    masks: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class Fields:
    """What is trained on, what the weight of the distance is chosen on, and what is tested on, by name."""

    source: str
    train: Pairs
    held: Pairs
    tests: dict[str, Pairs]


@functools.lru_cache(maxsize=2)
def fields(name: str, **about: Any) -> Fields:
    """The pairs of a suite, the same at every call. Raises NotRun and DataUnavailable."""
    train, held, tests = SUITES[name](name, **about)
    scales = [(images.mean((0, 2, 3)), images.std((0, 2, 3))) for images in (train.source, train.target)]

    def standardised(pairs: ImagePairs) -> Pairs:
        x, y = (
            torch.from_numpy(((images - mean[:, None, None]) / std[:, None, None]).astype(np.float32))
            for images, (mean, std) in zip((pairs.source, pairs.target), scales, strict=True)
        )
        return Pairs(x=x, y=y, masks=pairs.masks)

    return Fields(
        source=without_folder(train.provenance),
        train=standardised(train),
        held=standardised(held),
        tests={name: standardised(pairs) for name, pairs in tests.items()},
    )


Split = tuple[ImagePairs, ImagePairs, dict[str, ImagePairs]]


def _foreign(name: str, *, rows: int, held: int, tested: int, side: int) -> Split:
    """MSC: clean to train on; a quarter of the fields with impurities, and all with cells of the other type."""

    def drawn(what: str, fields: int, seed: int) -> ImagePairs:
        return load_pairs(f"cells/msc-{what}", fields=fields, size=side, seed=seed)

    tests = {what: drawn(what, tested, seed) for seed, what in enumerate(("clean", "impurities", "lncap"), start=2)}
    return drawn("clean", rows, 0), drawn("clean", held, 1), tests


def _densities(name: str, *, density: str, rows: int, held: int, tested: int, side: int) -> Split:
    """LNCaP of one density to train on, and of all four to be tested on."""

    def drawn(what: str, fields: int, seed: int) -> ImagePairs:
        return load_pairs(f"cells/lncap-{what}", fields=fields, size=side, seed=seed)

    tests = {what: drawn(what, tested, 2) for what in DENSITIES}
    return drawn(density, rows, 0), drawn(density, held, 1), tests


def _real(name: str, *, rows: int, held: int, tested: int, side: int, fold: int) -> Split:
    """Patches of real images; tests are clean, and with discs of another set pasted in."""
    parts = _apart(_smaller(_one_channel(name), fold))
    train, kept, test = (patches(part, side, most) for part, most in zip(parts, (rows, held, tested), strict=True))
    discs = patches(_one_channel(DONORS[name]), round(DISC * side), tested)
    return train, kept, {"clean": test, "pasted": paste(test, discs)}


def _one_channel(name: str) -> ImagePairs:
    """A real set; of the phase contrast the plane in the middle of the focus, and MAP2, the stain of whole neurons."""
    pairs = load_pairs(name)
    return pairs.channels(source=[6], target=[1]) if name == "phase-contrast" else pairs


def _smaller(pairs: ImagePairs, fold: int) -> ImagePairs:
    """Images each of whose pixels is the mean of `fold` x `fold`."""

    def mean(images: np.ndarray) -> np.ndarray:
        height, width = (extent // fold for extent in images.shape[2:])
        blocks = images[:, :, : height * fold, : width * fold].reshape(*images.shape[:2], height, fold, width, fold)
        return blocks.mean((3, 5), dtype=np.float32)

    return replace(pairs, source=mean(pairs.source), target=mean(pairs.target))


def _apart(pairs: ImagePairs) -> tuple[ImagePairs, ImagePairs, ImagePairs]:
    """Half to train on, about a fifth to choose on, the rest to test on: whole fields, or from left to right of one."""
    if len(pairs) == 1:
        train, rest = spatial_split(pairs, test=0.5, gap=0)
        return train, *spatial_split(rest, test=0.6, gap=0)
    half, fifth = len(pairs) // 2, max(1, len(pairs) // 5)
    return pairs.take(slice(half)), pairs.take(slice(half, half + fifth)), pairs.take(slice(half + fifth, None))


def _unpublished(name: str, **about: Any) -> Split:
    raise NotRun("the microscopy of MSC and LNCaP cells was never published; drawn cells stand in at scale small.")


SUITES: dict[str, Callable[..., Split]] = {
    "msc": _foreign,
    "lncap-density": _densities,
    **dict.fromkeys(DONORS, _real),
    "unpublished": _unpublished,
}
