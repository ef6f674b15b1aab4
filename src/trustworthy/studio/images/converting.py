"""CZI, ND2 and LIF as the makers of microscopes write them, turned into one OME-TIFF for each image; extra `bio`."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataError
from trustworthy.core.extras import required
from trustworthy.studio.images.description import LETTERS, Description, described
from trustworthy.studio.images.formats import format_of
from trustworthy.studio.images.reading import OpenImage, check_size
from trustworthy.studio.images.writing import write_image

READING = "what can also be exported as OME-TIFF, reading"


@dataclass(frozen=True)
class _Scene:
    """One image of a file. read : gives its array, which has the axes of `description`."""

    name: str
    description: Description
    read: Any


def convert(file: Path, folder: Path, max_pixels: int) -> list[tuple[str, str]]:
    """Write each image of a file as an OME-TIFF below `folder`; the name of each, "" where there is one, and its path.

    Raises
    ------
    MissingPackage : of the extra `bio`.
    DataError : the file cannot be read, or one of its images has more than `max_pixels` or axes that are not known.
    """
    done = []
    for number, scene in enumerate(_SCENES[format_of(file)](file)):
        check_size(scene.description, max_pixels)
        path = folder / f"{number}.tif"
        image = OpenImage(scene.description, scene.read())
        planes = (image.plane(index) for index in range(scene.description.planes))
        write_image(path, planes, scene.description, scene.description.dtype)
        done.append((scene.name, str(path)))
    return done if len(done) > 1 else [("", path) for _, path in done]


def _scene(
    name: str, axes: str, array_shape: tuple[int, ...], dtype: Any, read: Any, sizes: dict[str, float], names: list[str]
) -> _Scene:
    """Of an array with any letters; axes of length 1 are left out, for these makers name all that they know."""
    kept = [place for place, axis in enumerate(axes) if axis in "YX" or array_shape[place] > 1]
    named, shape = "".join(axes[place] for place in kept), tuple(array_shape[place] for place in kept)
    if set(named) - set(LETTERS):
        raise DataError(
            f"the image has the axes {named} of {shape}, and only time, depth, channel, height, width and colour are "
            "known; export it as OME-TIFF."
        )
    description = described(
        axes=named,
        shape=shape,
        dtype=np.dtype(dtype).name,
        pixel_size={
            axis: float(f"{size:.9g}") for axis, size in sizes.items() if axis in named and 0 < size < math.inf
        },
        channel_names=tuple(names) if "C" in named and len(names) == shape[named.index("C")] else (),
    )
    return _Scene(name, description, lambda: read().reshape(shape))


def _czi(file: Path) -> Iterator[_Scene]:
    """S is a scene there, 0 the colours."""
    with required("czifile", f"{READING} CZI").CziFile(file) as czi:
        lengths = dict(zip(czi.axes, czi.shape, strict=True))
        if lengths.get("S", 1) > 1:
            raise DataError(
                f"the file holds {lengths['S']} scenes; split them (in ZEN: Split Scenes), and upload each."
            )
        root = ElementTree.fromstring(czi.metadata())
        sizes = {each.get("Id", ""): float(each.findtext("Value", "nan")) * 1e6 for each in root.iter("Distance")}
        names = [each.get("Name", "") for each in root.findall(".//Dimensions/Channels/Channel")]
        axes = czi.axes.replace("S", "?").replace("0", "S" if lengths["0"] > 1 else "?")
        yield _scene("", axes, czi.shape, czi.dtype, lambda: czi.asarray(max_workers=1), sizes, names)


def _nd2(file: Path) -> Iterator[_Scene]:
    """P are the positions of the stage."""
    with required("nd2", f"{READING} ND2").ND2File(file) as nd2:
        lengths = {axis: length for axis, length in nd2.sizes.items() if axis != "P"}
        voxel = nd2.voxel_size()
        names = [each.channel.name for each in nd2.metadata.channels or []]
        sizes = {"X": voxel.x, "Y": voxel.y, "Z": voxel.z}
        for place in range(nd2.sizes.get("P", 1)):
            read = lambda place=place: nd2.asarray(position=place)  # noqa: E731
            axes, shape = "".join(lengths), tuple(lengths.values())
            yield _scene(f"position {place + 1}", axes, shape, nd2.dtype, read, sizes, names)


def _lif(file: Path) -> Iterator[_Scene]:
    """A file is a collection of images, in folders."""
    with required("liffile", f"{READING} LIF").LifFile(file) as lif:
        for each in lif.images:
            sizes = {axis: _step(each.coords.get(axis)) * 1e6 for axis in "XYZ"}
            yield _scene(each.path, "".join(each.dims), each.shape, each.dtype, each.asarray, sizes, [])


def _step(places: np.ndarray | None) -> float:
    """In metres."""
    return math.nan if places is None or len(places) < 2 else abs(float(places[1] - places[0]))


_SCENES = {"czi": _czi, "nd2": _nd2, "lif": _lif}
