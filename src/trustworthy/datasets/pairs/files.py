"""Pairs of images from folders: one of sources, one of targets, with equal file names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets.columns import listed
from trustworthy.datasets.image_pairs import ImagePairs
from trustworthy.datasets.reading import reading

TIFF = (".tif", ".tiff")
OTHERS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
Image = Num[np.ndarray, "channels height width"]


def read_pairs(
    folder: str | os.PathLike[str],
    *,
    source: str = "source",
    target: str = "target",
    mask: str = "mask",
    crop: int | None = None,
) -> ImagePairs:
    """Read pairs of images from two folders in `folder`; files that are called the same, up to the ending, are a pair.

    8-bit, 16-bit and floating-point values stay what they are. The pages of a TIFF file are channels.

    Parameters
    ----------
    folder : where the folders are.
    source, target : names of the folders, such as "brightfield" and "fluorescence".
    mask : folder whose images are not 0 where something lies that does not belong there. Where there is no such folder
        nothing is known of it.
    crop : side in pixels to which the middle of every image is cut; None takes images as they are, of one size.

    Raises
    ------
    DataError : a folder or a file is missing or cannot be read; files without a partner are named.
    InvalidInput : sizes, channels or types differ, or what `ImagePairs` refuses.
    """
    root = Path(folder).expanduser()
    if crop is not None:
        checks.integer("crop", crop, at_least=1)
    roles = {"source": source, "target": target} | ({"mask": mask} if (root / mask).is_dir() else {})
    files = {role: _files(root / name) for role, name in roles.items()}
    names = _paired(root, files)
    arrays = {role: _stack(role, names, found, crop) for role, found in files.items()}
    return ImagePairs(
        name=root.resolve().name,
        source=arrays["source"],
        target=arrays["target"],
        names=names,
        masks=(arrays["mask"] != 0).any(axis=1) if "mask" in arrays else None,
        provenance=f"Read from {source} and {target} in {root}" + (f", the middle {crop} pixels." if crop else "."),
    )


def read_image(file: Path) -> Image:
    """One image with its channels first and its values as they are; transparency is left out."""
    with reading(file, "save it anew as TIFF or PNG, or remove it with its partner."):
        planes = _tiff(file) if file.suffix.lower() in TIFF else np.stack(pages(file))
    if planes.ndim == 2:
        return planes[None]
    if planes.ndim == 4 and len(planes) == 1:
        planes = planes[0]
    if planes.ndim != 3:
        raise DataError(f"{file} must hold rows, columns and at most channels, got shape {planes.shape}.")
    return np.ascontiguousarray(planes.transpose(2, 0, 1)) if planes.shape[-1] in (3, 4) else planes


def pages(file: Path) -> list[np.ndarray]:
    """Every page of an image as Pillow decodes it, in shades of grey or in three colours."""
    from PIL import Image, ImageSequence

    with Image.open(file) as opened:
        return [_pixels(page) for page in ImageSequence.Iterator(opened)]


def _pixels(page) -> np.ndarray:
    kept = {"LA": "L", "1": "L", "RGBA": "RGB", "P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
    return np.asarray(page.convert(kept[page.mode]) if page.mode in kept else page)


def _tiff(file: Path) -> np.ndarray:
    """By tifffile, which knows more types than Pillow and does not misread big-endian floats."""
    import tifffile

    try:
        return tifffile.imread(file)
    except ValueError as error:
        found = np.stack(pages(file)) if "imagecodecs" in str(error) else None
        if found is None or found.dtype.kind == "f":
            raise
        return found  # compressed as JPEG or by LZW, which Pillow decodes by itself


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}; call the two folders source and target, or in Python name them by source= "
            "and target=."
        )
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in (*TIFF, *OTHERS) or file.name.startswith("."):
            continue
        if file.stem in found:
            raise DataError(f"{folder} has two files called {file.stem!r} up to the ending; remove one of them.")
        found[file.stem] = file
    if not found:
        raise DataError(f"{folder} holds no image of the kinds {', '.join((*TIFF, *OTHERS))}.")
    return found


def _paired(root: Path, files: Mapping[str, Mapping[str, Path]]) -> tuple[str, ...]:
    every = sorted(set().union(*files.values()))
    alone = {role: [name for name in every if name not in found] for role, found in files.items()}
    if any(alone.values()):
        missing = "; ".join(f"no {role} of {listed(names, 5)}" for role, names in alone.items() if names)
        raise DataError(f"{root}: files of a pair must be called the same up to the ending, but there is {missing}.")
    return tuple(every)


def _stack(role: str, names: Sequence[str], files: Mapping[str, Path], crop: int | None) -> np.ndarray:
    images = [_cropped(files[name], crop) for name in names]
    first = images[0]
    for name, image in zip(names, images, strict=True):
        what = f"{names[0]!r} and {name!r} of the {role} images"
        if image.dtype != first.dtype:
            raise InvalidInput(
                f"{what} must have one type, got {first.dtype} and {image.dtype}; save all of them with "
                "the depth that the camera gave."
            )
        if image.shape != first.shape:
            raise InvalidInput(
                f"{what} must have one size and as many channels, got {first.shape} and {image.shape} (channels, "
                f"height, width); cut the middle out of all by crop={min(*first.shape[1:], *image.shape[1:])}."
            )
    return np.stack(images)


def _cropped(file: Path, crop: int | None) -> Image:
    image = read_image(file)
    if crop is None:
        return image
    height, width = image.shape[1:]
    if min(height, width) < crop:
        raise InvalidInput(f"crop must be at most the side of every image, got {crop}; {file} is {height} x {width}.")
    top, left = (height - crop) // 2, (width - crop) // 2
    return image[:, top : top + crop, left : left + crop]
