"""Images plane by plane, in their own numbers: TIFF with what OME, ImageJ and tifffile say of their axes, and PNG."""

from __future__ import annotations

import math
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from trustworthy.core.errors import DataError, InvalidInput, TrustworthyError
from trustworthy.studio.images.description import LETTERS, Description, described
from trustworthy.studio.images.formats import ADVICE, format_of

AXES = re.compile(r"Axes of the array: ([TZCYXS]+)\.")
"""In the description of an image of OME, where `writing` made it."""
MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


@dataclass(frozen=True)
class OpenImage:
    """An image whose planes can be asked for.

    stored : the array of the file, or what gives parts of it when indexed, with `description.axes`.
    """

    description: Description
    stored: Any

    def plane(self, index: int) -> np.ndarray:
        """One plane, (channels, height, width), in the type of the file; of T moments and Z depths, t Z + z.

        Channels are those of C, and of each the samples of S. Where the file is neither compressed nor of another byte
        order, this is a view of the file that cannot be written to, and memory is used as far as it is read.

        Raises
        ------
        InvalidInput : there is no such plane.
        DataError : its pixels cannot be decoded.
        """
        about = self.description
        if not 0 <= index < about.planes:
            raise InvalidInput(f"index must be 0 to {about.planes - 1}, the planes of the image, got {index}.")
        moment, depth = divmod(index, about.length("Z"))
        at = {"T": moment, "Z": depth}
        with _readable("the pixels"):
            part = self.stored[tuple(at.get(axis, slice(None)) for axis in about.axes)]
        left = [axis for axis in about.axes if axis not in at]
        ordered = part.transpose([left.index(axis) for axis in "CSYX" if axis in left])
        shaped = ordered.reshape(about.channels, about.height, about.width)
        shaped = shaped.view(np.uint8) if shaped.dtype == bool else shaped
        return np.asarray(shaped, shaped.dtype.newbyteorder("="))


@contextmanager
def open_image(path: Path, description: Description | None = None) -> Iterator[OpenImage]:
    """An image, open until the end of the `with`; only its header is read before a plane is asked for.

    description : what is known of it, with axes that a person may have corrected; None for what the file says.

    Raises
    ------
    DataError : no TIFF or PNG, damaged, of another size than `description` says, or of numbers that are not real.
    """
    kind = format_of(path)
    if kind not in _OPEN:
        raise DataError(f"the file is a {kind}, no single image. {ADVICE}")
    with _OPEN[kind](path) as image:
        yield image if description is None else OpenImage(description, _fitted(image, description))


def check_size(description: Description, max_pixels: int) -> None:
    """Before a pixel is decoded. Raises DataError."""
    if description.pixels > max_pixels or not description.pixels:
        claimed = " x ".join(f"{size:,}" for size in description.shape)
        raise DataError(
            f"the file claims {claimed} pixels, and an image may have 1 to {max_pixels:,}. Cut it into smaller images, "
            "or raise max_pixels in the settings."
        )


def _fitted(image: OpenImage, wanted: Description) -> Any:
    if image.description.shape == wanted.shape:
        return image.stored
    if image.description.pixels != wanted.pixels or not isinstance(image.stored, np.ndarray):
        raise DataError(
            f"the file holds an image of {image.description.shape}, not {wanted.shape} as when it was uploaded; it was "
            "changed. Upload it again."
        )
    return image.stored.reshape(wanted.shape)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Whatever a decoder raises about a file that is damaged, in one type."""
    try:
        yield
    except (TrustworthyError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{what} cannot be read, the file is damaged or cut off ({error}). Export it again.") from error


@contextmanager
def _open_tiff(path: Path) -> Iterator[OpenImage]:
    with _readable("the image"):
        # A file that names others, as OME allows it, would have these opened.
        file = tifffile.TiffFile(path, _multifile=False)
    with file:
        with _readable("the image"):
            series = _only_series(file)
            description = _described(file, series)
            _check_complete(series, path.stat().st_size)
            stored = _stored(path, series, description.shape)
        yield OpenImage(description, stored)


def _only_series(file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """The image of a file; small ones beside it, such as thumbnails, are none."""
    first, *others = file.series
    if any(4 * other.size > first.size for other in others):
        raise DataError(f"the file holds {len(file.series)} images; save each of them as a file of its own.")
    return first


def _described(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Description:
    if series.dtype is None or series.dtype.kind not in "buif":
        raise DataError(f"pixels must be real numbers, got {series.dtype}; export real intensities.")
    dtype = "uint8" if series.dtype.kind == "b" else series.dtype.name
    axes, guessed = _named(series.axes)
    sizes, names = _OF_KIND.get(series.kind, _nothing_said)(file)
    axes, shape = _with_singletons(file, axes, series)
    channels = dict(zip(axes, shape, strict=True)).get("C", 1)
    return described(
        axes=axes,
        shape=shape,
        dtype=dtype,
        pixel_size={axis: size for axis, size in sizes.items() if axis in axes and math.isfinite(size) and size > 0},
        channel_names=names if len(names) == channels else (),
        guessed=guessed,
    )


def _named(axes: str) -> tuple[str, bool]:
    """Letters of `LETTERS`, and whether some are a guess: pages of which nobody says what they are count as depths."""
    free = [letter for letter in "ZTC" if letter not in axes]
    unknown = sum(letter not in LETTERS for letter in axes)
    if unknown > len(free):
        raise DataError(f"the image has {len(axes)} axes, more than time, depth, channel, height, width; split it.")
    return "".join(letter if letter in LETTERS else free.pop(0) for letter in axes), unknown > 0


def _with_singletons(
    file: tifffile.TiffFile, axes: str, series: tifffile.TiffPageSeries
) -> tuple[str, tuple[int, ...]]:
    """Axes of length 1, of which OME does not say whether the image has them; `writing` says it in the description."""
    told = AXES.search((file.ome_metadata or "") if series.kind == "ome" else "")
    if told is None or series.dataoffset is None:
        return axes, series.shape
    lengths = dict(zip(axes, series.shape, strict=True))
    lengths |= {"C": lengths.pop("S")} if "S" in lengths and "S" not in told[1] else {}
    wanted = tuple(lengths.get(axis, 1) for axis in told[1])
    return (told[1], wanted) if wanted and math.prod(wanted) == series.size else (axes, series.shape)


def _ome(file: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...]]:
    root = ElementTree.fromstring(file.ome_metadata or "<OME/>")
    pixels = next((each for each in root.iter() if each.tag.endswith("}Pixels")), None)
    if pixels is None:
        return {}, ()
    units = {axis: MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"), math.nan) for axis in "XYZ"}
    sizes = {axis: float(pixels.get(f"PhysicalSize{axis}", "nan")) * unit for axis, unit in units.items()}
    names = tuple(each.get("Name", "") for each in pixels if each.tag.endswith("}Channel"))
    return sizes, names if any(names) else ()


def _imagej(file: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...]]:
    told = file.imagej_metadata or {}
    unit = MICROMETRES.get(str(told.get("unit", "")).replace("\\u00B5", "µ"), math.nan)
    tags = file.pages.first.tags
    sizes = {axis: _resolution(tags, axis) * unit for axis in "XY"}
    return sizes | {"Z": float(told.get("spacing", math.nan)) * unit}, ()


def _resolution(tags: tifffile.TiffTags, axis: str) -> float:
    """Units for each pixel."""
    tag = tags.get(f"{axis}Resolution")
    return tag.value[1] / tag.value[0] if tag is not None and tag.value[0] else math.nan


def _nothing_said(file: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...]]:
    return {}, ()


_OF_KIND: dict[str, Callable[[tifffile.TiffFile], tuple[dict[str, float], tuple[str, ...]]]] = {
    "ome": _ome,
    "imagej": _imagej,
}


def _check_complete(series: tifffile.TiffPageSeries, size: int) -> None:
    """Decoders fill what is missing with zeros."""
    if series.dataoffset is not None:
        ends = [series.dataoffset + series.nbytes]
    else:
        ends = [
            offset + count
            for page in series
            for offset, count in zip(
                *(((), ()) if page is None else (page.dataoffsets, page.databytecounts)), strict=True
            )
        ]
    if any(page is None for page in series) or max(ends, default=0) > size:
        raise DataError(
            f"the file has {size:,} bytes, and its pixels should reach to byte {max(ends, default=0):,}: it is cut off "
            "or does not say what it holds. Export or upload it again."
        )


def _stored(path: Path, series: tifffile.TiffPageSeries, shape: tuple[int, ...]) -> Any:
    if series.dataoffset is not None and series.dtype != bool:
        order = series.parent.byteorder if series.parent is not None else "="
        dtype = series.dtype.newbyteorder(order)
        return np.memmap(path, dtype, mode="r", offset=series.dataoffset, shape=shape)
    lead = next((n for n in range(series.ndim + 1) if math.prod(series.shape[n:]) == series.keyframe.size), None)
    return _Pages(series, lead)


@dataclass(frozen=True)
class _Pages:
    """Of a compressed file: only pages that are asked for are decoded.

    lead : as many axes count the pages; None where pages are not one behind the other.
    """

    series: tifffile.TiffPageSeries
    lead: int | None

    def __getitem__(self, index: tuple[int | slice, ...]) -> np.ndarray:
        shape = self.series.shape
        if self.lead is None:
            return self.series.asarray()[index]
        numbers = np.arange(math.prod(shape[: self.lead])).reshape(shape[: self.lead])[index[: self.lead]]
        pages = [self.series[int(number)].asarray() for number in np.ravel(numbers)]  # type: ignore[union-attr]
        array = pages[0][None] if len(pages) == 1 else np.stack(pages)
        whole = array.reshape(np.shape(numbers) + shape[self.lead :])
        return whole[(slice(None),) * np.ndim(numbers) + index[self.lead :]]


@contextmanager
def _open_png(path: Path) -> Iterator[OpenImage]:
    with path.open("rb") as stream:
        head = stream.read(26)
    with _readable("the image"):
        width, height, bits, colours = struct.unpack(">IIBB", head[16:])
    axes, shape = ("YXS", (height, width, 3)) if colours in (2, 3, 6) else ("YX", (height, width))
    description = Description(axes=axes, shape=shape, dtype="uint16" if bits == 16 else "uint8")
    yield OpenImage(description, _Png(path, shape))


@dataclass(frozen=True)
class _Png:
    """Decoded when it is asked for. What says how transparent a pixel is is left out."""

    path: Path
    shape: tuple[int, ...]

    def __getitem__(self, index: tuple[int | slice, ...]) -> np.ndarray:
        decoded = np.atleast_3d(imagecodecs.png_decode(self.path.read_bytes()))
        return decoded[..., : math.prod(self.shape[2:])].reshape(self.shape)[index]


_OPEN = {"tiff": _open_tiff, "png": _open_png}
