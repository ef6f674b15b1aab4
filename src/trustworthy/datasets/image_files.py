"""Pictures as arrays in [0, 1], without a silent change: sizes and modes that differ are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets.columns import listed
from trustworthy.datasets.pictures import LARGEST

DEEP = ("I;16", "I;16B", "I;16L")  # modes of Pillow with one channel of 16 bits
KIND = {"1": "grey", "L": "grey", "LA": "grey", **dict.fromkeys(DEEP, "16-bit grey")}
COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")


def decoded(
    images: Sequence[Any], size: int | None = None
) -> tuple[Float32[np.ndarray, "n channels height width"], list[str]]:
    """Read pictures, and say what was changed.

    Parameters
    ----------
    images : paths, or pictures of Pillow.
    size : side in pixels to which pictures are brought (shorter side resized, centre cut out), grey ones becoming
        colour ones where there are both; None refuses pictures that differ.

    Raises
    ------
    DataError : pictures cannot be read; all of them are listed.
    InvalidInput : sizes or modes differ, or more than memory holds.
    """
    if size is not None:
        checks.integer("size", size, at_least=1)
    broken: dict[str, str] = {}
    heads = [_attempt(image, broken, lambda opened: (opened.size, opened.mode)) for image in images]
    if broken:  # name those, too, that begin well
        for image in images:
            _attempt(image, broken, lambda opened: opened.load())
    _refuse(broken, len(images))
    sizes, modes = ({head[part] for head in heads} for part in (0, 1))
    notes = _agree(images, heads, size)
    channels = 1 if all(mode in KIND for mode in modes) else 3
    height, width = (size, size) if size is not None else heads[0][0][::-1]
    if len(images) * channels * height * width * 4 > LARGEST:
        raise InvalidInput(
            f"{len(images):,} pictures of {height} x {width} do not fit into memory; draw fewer by --limit 1000."
        )
    x = np.empty((len(images), channels, height, width), np.float32)
    for row, image in enumerate(images):
        pixels = _attempt(image, broken, lambda opened: _pixels(opened, channels, size))
        x[row] = 0.0 if pixels is None else pixels
    _refuse(broken, len(images))
    if modes & {"LA", "RGBA", "PA"}:
        notes.append("Transparency was left out.")
    if size is not None and sizes != {(size, size)}:
        notes.append(f"Pictures were resized to {size} x {size}, the shorter side first, and the centre cut out.")
    return x, notes


def _attempt(image: Any, broken: dict[str, str], read: Callable[[Any], Any]) -> Any:
    """What `read` makes of the open picture; None, with a line in `broken`, where the file is damaged."""
    from PIL import Image

    if not isinstance(image, Path):
        return read(image)
    try:
        with Image.open(image) as opened:
            return read(opened)
    except (OSError, SyntaxError, ValueError) as error:  # UnidentifiedImageError is an OSError
        broken[str(image)] = str(error)
        return None


def _refuse(broken: dict[str, str], among: int) -> None:
    if broken:
        shown = listed(broken, 5)
        raise DataError(f"{len(broken):,} of {among:,} pictures cannot be read; remove or replace them: {shown}.")


def _agree(images: Sequence[Any], heads: Sequence[tuple[tuple[int, int], str]], size: int | None) -> list[str]:
    """Notes where pictures differ and `size` brings them to one shape; an error where they differ and it does not."""
    for image, (_, mode) in zip(images, heads, strict=True):
        if mode not in KIND and mode not in COLOUR:
            raise DataError(f"{image} has the mode {mode!r}, whose range is not known; save it with 8 or 16 bits.")
    sizes = Counter(f"{width} x {height}" for (width, height), _ in heads)
    kinds = Counter(KIND.get(mode, "colour") for _, mode in heads)
    differ = [counts for counts in (sizes, kinds) if len(counts) > 1]
    if differ and size is None:
        found = "; ".join(", ".join(f"{n:,} of {what}" for what, n in counts.most_common(5)) for counts in differ)
        raise InvalidInput(
            f"pictures must have one size and one mode, got {found}. Bring them to one: --size "
            f"{min(side for head in heads for side in head[0])} (size= in Python), or remove those that differ."
        )
    return [f"Grey and colour pictures were joined: {dict(kinds)}."] if len(kinds) > 1 else []


def _pixels(image: Any, channels: int, size: int | None) -> Float32[np.ndarray, "channels height width"]:
    from PIL import Image, ImageOps

    if image.mode in DEEP:
        image = Image.fromarray(np.asarray(image, np.float32) / 65_535 * 255)
    elif image.mode != "RGB":
        image = image.convert("L" if image.mode in KIND else "RGB")
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.float32) / 255.0
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.broadcast_to(planes.clip(0.0, 1.0), (channels, *planes.shape[1:]))
