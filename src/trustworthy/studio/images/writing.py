"""OME-TIFF with the axes, pixel size and channel names of another image, plane by plane."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from trustworthy.core.errors import InvalidInput
from trustworthy.core.files import atomic_write
from trustworthy.studio.images.description import Description


def write_image(path: Path, planes: Iterable[np.ndarray], like: Description, dtype: str | np.dtype) -> None:
    """Write an OME-TIFF, uncompressed; there is never a part of it under its name.

    planes : (channels, height, width) each, in the order of `OpenImage.plane`; one is in memory at a time.
    like : what the file is to be, its order of axes included. In OME nothing but samples of colours comes behind height
        and width: C behind them becomes S, and other axes come before them.
    dtype : of the file; numbers are rounded and cut off where it is one of integers.

    Raises
    ------
    InvalidInput : number or shape of the planes is not that of `like`.
    DiskFull and OSError of the disk : nothing is left.
    """
    kept = _as_stored(like)
    dtype = np.dtype(dtype)
    with atomic_write(path, "wb") as stream:
        with tifffile.TiffWriter(stream, ome=True, bigtiff=kept.pixels * dtype.itemsize > 2**31) as file:
            offset, _ = file.write(  # type: ignore[misc]
                shape=kept.shape, dtype=dtype, metadata=_metadata(kept, like), returnoffset=True, **_layout(kept)
            )
        wanted, given = (like.channels, like.height, like.width), []
        for index, plane in enumerate(planes):
            given.append(plane.shape)
            if plane.shape != wanted or index == like.planes:
                break
            _put(stream, offset, kept, index, _converted(plane, dtype))
        if given != [wanted] * like.planes:
            raise InvalidInput(
                f"planes must be {like.planes} of {wanted}, as of {like.axes} {like.shape}, got {len(given)}, the last "
                f"of {given[-1] if given else None}."
            )


def _as_stored(like: Description) -> Description:
    """How an image like this one lies in an OME-TIFF."""
    axes = like.axes
    order = [axis for axis in axes if axis not in "YXS"]
    colours = "S" in axes and axes.index("S") > axes.index("X")
    if "C" in axes and "S" not in axes and axes[-1] == "C":
        order.remove("C")
        rest = ["Y", "X", "C"]
    else:
        rest = ["Y", "X", "S"] if colours else ["S", "Y", "X"] if "S" in axes else ["Y", "X"]
    order += rest
    named = "".join(order)
    named = named[:-1] + "S" if named[-1] == "C" else named
    return Description(**{**like.model_dump(), "axes": named, "shape": tuple(like.length(axis) for axis in order)})


def _layout(kept: Description) -> dict[str, Any]:
    samples = kept.length("S")
    layout: dict[str, Any] = {"photometric": "rgb" if samples in (3, 4) else "minisblack"}
    if "S" in kept.axes:
        layout["planarconfig"] = "contig" if kept.axes[-1] == "S" else "separate"
    if "X" in kept.pixel_size and "Y" in kept.pixel_size:
        layout |= {"resolution": tuple(1e4 / kept.pixel_size[axis] for axis in "XY"), "resolutionunit": "CENTIMETER"}
    return layout


def _metadata(kept: Description, like: Description) -> dict[str, Any]:
    axes = like.axes if kept.shape == like.shape else kept.axes
    told: dict[str, Any] = {"axes": kept.axes, "Description": f"Axes of the array: {axes}."}
    for axis, size in kept.pixel_size.items():
        told |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    if len(kept.channel_names) == kept.length("C"):
        told["Channel"] = {"Name": list(kept.channel_names)}
    return told


def _converted(plane: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "ui" or plane.dtype == dtype:
        return plane.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(plane), limits.min, limits.max).astype(dtype)


def _put(stream: IO[bytes], offset: int, kept: Description, index: int, plane: np.ndarray) -> None:
    """Write a plane where it belongs: the pages of a channel, moment and depth are one after the other in the file."""
    lead = [axis for axis in kept.axes if axis in "TZC"]
    moment, depth = divmod(index, kept.length("Z"))
    at = {"T": moment, "Z": depth}
    pages = plane.reshape(kept.length("C"), kept.length("S"), kept.height, kept.width)
    for channel, page in enumerate(pages):
        place = [(at | {"C": channel})[axis] for axis in lead]
        number = int(np.ravel_multi_index(place, [kept.length(axis) for axis in lead])) if lead else 0
        page = page.transpose(1, 2, 0) if kept.axes[-1] == "S" else page
        stream.seek(offset + number * math.prod(page.shape) * page.itemsize)
        stream.write(np.ascontiguousarray(page).data)
