"""Real patches of foreign images in the fields of a set: impurities whose place is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.image_pairs import ImagePairs


def paste(pairs: ImagePairs, foreign: ImagePairs, *, count: int = 1, seed: int = 0) -> ImagePairs:
    """Paste round patches of foreign pairs into source and target of every pair, with edges that fade over.

    Each channel of the foreign images is brought, by one line for all of them, to the mean and the standard deviation
    that it has in `pairs`, and integers are rounded: what gives a patch away is what is on it, not its brightness.

    Parameters
    ----------
    pairs : the fields.
    foreign : patches with as many channels, square and no larger than the fields, such as `patches` cuts.
    count : patches in each field, >= 1; a later one may lie over an earlier one.
    seed : >= 0; which patch goes where in a field depends on it and on the number of the field alone.

    Returns
    -------
    ImagePairs : `masks` are the pixels of the patches and what was masked before; all others are as they were.
    """
    checks.integer("count", count, at_least=1)
    size = foreign.source.shape[-1]
    if foreign.source.shape[-2] != size or size > min(pairs.source.shape[2:]):
        raise InvalidInput(
            f"foreign must be square and at most {min(pairs.source.shape[2:])} pixels a side, got shape "
            f"{foreign.source.shape}; cut it by patches(foreign, size, count)."
        )
    weight = _disc(size)
    roles = ("source", "target")
    patches = {role: _matched(role, getattr(foreign, role), getattr(pairs, role)) for role in roles}
    images = {role: getattr(pairs, role).copy() for role in roles}
    masks = np.zeros((len(pairs), *pairs.source.shape[2:]), bool) if pairs.masks is None else pairs.masks.copy()
    for row in range(len(pairs)):
        generator = numpy_generator(seed, "paste", row)
        for _ in range(count):
            chosen = generator.integers(len(foreign))
            top, left = (int(generator.integers(side - size + 1)) for side in masks.shape[1:])
            place = slice(top, top + size), slice(left, left + size)
            for role in roles:
                under = images[role][row][:, *place]
                under[...] = _as(under.dtype, under + weight * (patches[role][chosen] - under))
            masks[row][place] |= weight > 0
    added = f"Patches of {foreign.name} pasted in."
    return replace(pairs, **images, masks=masks, provenance=f"{pairs.provenance} {added}".strip())


def _disc(size: int) -> Float[np.ndarray, "size size"]:
    """1 in the middle, falling to 0 over the outer fifth of the radius of the largest circle in a square."""
    offset = np.arange(size) - (size - 1) / 2
    radius = np.hypot(offset[:, None], offset[None, :]) / (size / 2)
    return np.clip((1.0 - radius) / 0.2, 0.0, 1.0)


def _matched(role: str, foreign: np.ndarray, own: np.ndarray) -> np.ndarray:
    if foreign.shape[1] != own.shape[1]:
        raise InvalidInput(
            f"foreign must have as many {role} channels as the pairs, got {foreign.shape[1]} and {own.shape[1]}; "
            f"choose some by foreign.channels({role}=[0])."
        )
    axes = (0, 2, 3)
    theirs, ours = (
        (images.mean(axes, np.float64, keepdims=True), images.std(axes, np.float64, keepdims=True))
        for images in (foreign, own)
    )
    return (foreign - theirs[0]) / np.where(theirs[1] > 0, theirs[1], 1.0) * ours[1] + ours[0]


def _as(dtype: np.dtype, values: np.ndarray) -> Num[np.ndarray, "channels size size"]:
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
