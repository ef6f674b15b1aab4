"""Pictures on disk: folders whose sub-folders are classes, and archives of them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Int64, UInt8

from trustworthy.core import checks
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets.dataset import Dataset, scaled
from trustworthy.datasets.draw import sample_rows, seeded_split, shuffled
from trustworthy.datasets.entry import Content, Request
from trustworthy.datasets.reading import reading

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
TEST_NAMES = ("test", "val", "validation")
LARGEST = 16 << 30  # bytes of pictures, as float32, beyond which a limit is asked for
Picture: TypeAlias = Path | bytes
Part: TypeAlias = tuple[UInt8[np.ndarray, "_ _ _ _"], Int64[np.ndarray, " _"]]


def from_folder(
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    mode: Literal["RGB", "L"] = "RGB",
    limit: int | None = None,
) -> Dataset:
    """Read a classification set of pictures.

    Parameters
    ----------
    path : folder, or .tar(.gz, .xz, .bz2) or .zip archive of one, laid out as train/CLASS/*.png and test/CLASS/*.png
        ("val" for "test" will do); or as CLASS/*.png, which is split at random, a quarter for testing, seed 0.
    size : side in pixels to which pictures are brought (shorter side resized, centre cut out); None leaves them as
        they are, and then all must have the same size.
    mode : "RGB" for three channels, "L" for one.
    limit : at most this many pictures of each split (>= 1), drawn with seed 0 and spread evenly over the classes.

    Returns
    -------
    Dataset : pictures in [0, 1], float32 (n, channels, height, width); classes in alphabetical order.

    Raises
    ------
    DataError : no pictures, or one that cannot be read.
    """
    if limit is not None:
        checks.integer("limit", limit, at_least=1)
    if size is not None:
        checks.integer("size", size, at_least=1)
    checks.choice("mode", mode, {"RGB": 3, "L": 1})
    content = read_classes(Path(path), Request(limit=limit, size=size, mode=mode))
    content = content.each(lambda x, y: (scaled(x), y))
    return Dataset(name=Path(path).name, task="classification", source=str(path), **vars(content))


def read_classes(path: Path, request: Request) -> Content:
    """Read classes of pictures, split as the folders are or at random; see `from_folder`."""
    found = pictures(path)
    parts = {key.split("/")[0] for key in found}
    test = next((name for name in TEST_NAMES if name in parts), None)
    if "train" in parts and test is not None:
        train, held_out = below(found, "train"), below(found, test)
        names = classes_of({**train, **held_out})
        return join(read_part(train, names, request), read_part(held_out, names, request), names)
    names = classes_of(found)
    files, y = listing(found, names)
    rows = seeded_split(np.arange(len(files)), y)

    def part(chosen: np.ndarray, labels: np.ndarray) -> Part:
        kept = sample_rows(labels, request.limit)
        return decode([files[row] for row in chosen[kept]], request), labels[kept]

    return join(part(np.asarray(rows.x_train), rows.y_train), part(np.asarray(rows.x_test), rows.y_test), names)


def pictures(path: Path) -> dict[str, Picture]:
    """Find the pictures under a folder (as paths) or in an archive (as bytes), by their path below its top folder."""
    if not path.exists():
        raise DataError(f"there is no file or folder {path}.")
    with reading(f"the archive {path}", "download it again."):
        if path.is_dir():
            below_it = {file.relative_to(path).as_posix(): file for file in path.rglob("*")}
            found = {name: file for name, file in below_it.items() if _is_picture(name)}
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = {name: archive.read(name) for name in archive.namelist() if _is_picture(name)}
        else:
            with tarfile.open(path) as archive:
                files = ((m.name, archive.extractfile(m)) for m in archive if m.isfile() and _is_picture(m.name))
                found = {name.removeprefix("./"): stream.read() for name, stream in files if stream is not None}
    tops = {key.split("/")[0] for key in found}
    if len(tops) == 1 and not tops & {"train", *TEST_NAMES} and all(key.count("/") >= 2 for key in found):
        found = below(found, tops.pop())
    if not any("/" in key for key in found):
        raise DataError(f"{path} holds no classes of pictures; expected CLASS/NAME.png, one folder for each class.")
    return dict(sorted(found.items()))


def below(found: Mapping[str, Picture], folder: str) -> dict[str, Picture]:
    """Keep the pictures under one folder, with paths from there."""
    return {key.removeprefix(f"{folder}/"): item for key, item in found.items() if key.startswith(f"{folder}/")}


def classes_of(found: Mapping[str, Picture]) -> tuple[str, ...]:
    """Names of the folders that pictures lie in, in alphabetical order."""
    return tuple(sorted({key.split("/")[0] for key in found if "/" in key}))


def read_part(found: Mapping[str, Picture], names: Sequence[str], request: Request) -> Part:
    """Read one split: pictures of the classes `names`, which number the labels, in an order shuffled with seed 0."""
    files, y = listing(found, names)
    kept = shuffled(sample_rows(y, request.limit))
    return decode([files[row] for row in kept], request), y[kept]


def join(train: Part | None, test: Part, names: Sequence[str] = ()) -> Content:
    """Put two splits together; without a training split that one is empty."""
    x_train, y_train = (test[0][:0], test[1][:0]) if train is None else train
    if x_train.shape[1:] != test[0].shape[1:]:
        raise DataError(f"training pictures are {x_train.shape[1:]}, test pictures {test[0].shape[1:]}; pass size=.")
    return Content(x_train, y_train, *test, class_names=tuple(names))


def listing(found: Mapping[str, Picture], names: Sequence[str]) -> tuple[list[Picture], Int64[np.ndarray, " n"]]:
    """List the pictures of the classes `names`, and their labels."""
    number = {name: label for label, name in enumerate(names)}
    chosen = [(item, number[key.split("/")[0]]) for key, item in found.items() if key.split("/")[0] in number]
    if not chosen:
        raise DataError("one of the splits holds no pictures; expected CLASS/NAME.png, one folder for each class.")
    return [item for item, _ in chosen], np.array([label for _, label in chosen], dtype=np.int64)


def decode(files: Sequence[Picture], request: Request) -> UInt8[np.ndarray, "n channels height width"]:
    """Read pictures into one array of bytes."""
    first = _decode_one(files[0], request)
    if first.size * len(files) * 4 > LARGEST:
        raise InvalidInput(f"{len(files):,} pictures of {first.shape} do not fit into memory; pass limit=10_000, say.")
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    for row, file in enumerate(files):
        image = _decode_one(file, request) if row else first
        if image.shape != first.shape:
            raise DataError(
                f"pictures differ in size, {image.shape} and {first.shape}; pass size= to bring all to one."
            )
        images[row] = image
    return images


def _decode_one(file: Picture, request: Request) -> UInt8[np.ndarray, "channels height width"]:
    from PIL import Image, ImageOps

    name = file if isinstance(file, Path) else "of the archive"
    source = file if isinstance(file, Path) else io.BytesIO(file)
    with reading(f"the picture {name}", "remove it or copy it again."), Image.open(source) as opened:
        image = opened.convert(request.mode)
    if request.size is not None:
        image = ImageOps.fit(image, (request.size, request.size), method=Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__")) for part in path.parts)
