"""Pairs of images as what a network is trained on: windows of normalised planes, which stay on the disk.

Every plane is read once and one at a time, and kept as float32 in a file of the attempt that has no name: its space is
free again as soon as the process ends, however it ends.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.nn import Translator
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.task import Orders, Picture, Place, Task

PARTS = ("train", "validation")
JUDGED = 2**20
"""Pixels of the validation images that are looked at after each epoch, at most."""
_ROWS = 256  # of a plane that are converted at once


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane of a pair. name : of the pair. source, target : in their own units, on the disk."""

    name: str
    part: str
    source: Float[np.ndarray, "channels height width"]
    target: Float[np.ndarray, "target_channels height width"]


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """Windows of planes, as large as the others, normalised; together they cover the planes.

    Parameters
    ----------
    planes : of any sizes; those smaller than a window are continued by their mirror image.
    translator : normalises.
    patch : pixels, side of the squares by which the planes are covered.
    room : pixels by which a window is larger, so that a crop of a patch can be drawn from it.
    fingerprint : what tells these pairs from others to a checkpoint.
    watch : called for each window that is read.
    """

    def __init__(
        self, planes: Sequence[Plane], translator: Translator, patch: int, room: int = 0, fingerprint: str = ""
    ) -> None:
        self._translator, self.side = translator, patch + room
        self.fingerprint = (fingerprint, patch, room)
        self.watch: Callable[[], object] = bool
        self._windows = [
            (plane, top, left)
            for plane in planes
            for top in _starts(plane.source.shape[1], patch, self.side)
            for left in _starts(plane.source.shape[2], patch, self.side)
        ]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        self.watch()
        plane, top, left = self._windows[number]
        source, target = (_window(image, top, left, self.side) for image in (plane.source, plane.target))
        return self._translator.source(source[None])[0], self._translator.target(target[None])[0]

    def spread(self, most: int) -> Patches:
        """These, or as many as hold `most` pixels, at least one, spread evenly over them; `self` is changed."""
        step = math.ceil(len(self) / max(1, most // self.side**2))
        self._windows = self._windows[::step]
        return self


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a training needs of its images.

    translator : with the statistics of the training planes, around nothing yet.
    """

    planes: list[Plane]
    translator: Translator
    train: Patches
    validation: Patches | None


def channels_of(settings: TrainingSettings, task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the channels that are used of the sources and of the targets.

    Raises
    ------
    InvalidInput : the images of a pair do not fit each other, or those of two pairs have other channels.
    """
    places = [place for place in task.places if place.target is not None]
    for place in places:
        _check_sizes(place)
    return (
        _channels("source", settings.source_channels, [place.source for place in places]),
        _channels("target", settings.target_channels, [place.target for place in places if place.target]),
    )


def prepare(orders: Orders, settings: TrainingSettings, told: Callable[[float, str], object]) -> Prepared:
    """The pairs of a task that are trained on and those that judge.

    told : called with the share that is done, and the name of the pair that is read.

    Raises
    ------
    InvalidInput : no pair to train on, images that do not fit each other, values that are not finite.
    DiskFull : the planes do not fit on the disk.
    """
    channels = channels_of(settings, orders.task)
    places = [place for place in orders.task.places if place.part in PARTS]
    if not any(place.part == "train" for place in places):
        raise InvalidInput("no pair is there to train on; give some the part 'train' on the page of the pairs.")
    orders.storage.reserve(
        bytes_of([place.source.description for place in places], sum(map(len, channels))), "Preparing the images"
    )
    with tempfile.TemporaryFile(dir=orders.folder) as stream:
        shapes = []
        for number, place in enumerate(places):
            told(number / len(places), place.name)
            shapes += list(_stored(orders, place, channels, stream))
        stream.flush()
        planes = list(_mapped(np.memmap(stream, np.float32, "r"), shapes))
    training = [plane for plane in planes if plane.part == "train"]
    translator = Translator.of(nn.Identity(), [p.source for p in training], [p.target for p in training])
    held_out = [plane for plane in planes if plane.part == "validation"]
    mark = digest([[place.source.sha256, place.target and place.target.sha256] for place in places], *channels)
    room = room_of(settings.patch, [plane.source.shape[1:] for plane in training])
    return Prepared(
        planes,
        translator,
        Patches(training, translator, settings.patch, room, mark),
        Patches(held_out, translator, settings.patch, fingerprint=mark).spread(JUDGED) if held_out else None,
    )


def room_of(patch: int, sizes: Sequence[tuple[int, ...]]) -> int:
    """Pixels by which windows are larger than patches: half a patch, if the smallest plane has as many."""
    return min(patch // 2, max(0, min(min(size) for size in sizes) - patch))


def patches_in(description: Description, patch: int) -> int:
    """Windows that cover all planes of an image."""
    return description.planes * math.ceil(description.height / patch) * math.ceil(description.width / patch)


def bytes_of(sources: Sequence[Description], channels: int) -> int:
    """On the disk, of the planes of pairs with these sources, and `channels` of both images together."""
    return 4 * channels * pixels_of(sources)


def pixels_of(images: Sequence[Description]) -> int:
    """Of all planes, whatever their channels."""
    return sum(image.planes * image.height * image.width for image in images)


def _check_sizes(place: Place) -> None:
    assert place.target is not None
    source, target = place.source.description, place.target.description
    for what in ("planes", "height", "width"):
        one, other = getattr(source, what), getattr(target, what)
        if one != other:
            raise InvalidInput(
                f"both images of the pair {place.name!r} must have the same {what}, and the source has {one}, the "
                f"target {other}. Look whether their axes are right ({source.axes} and {target.axes}), crop one of "
                "them, or leave the pair out."
            )


def _channels(role: str, wanted: tuple[int, ...], pictures: Sequence[Picture]) -> tuple[int, ...]:
    counts = {picture.description.channels: picture.name for picture in pictures}
    if not wanted and len(counts) > 1:
        raise InvalidInput(
            f"all images of the role {role} must have equally many channels, got "
            f"{' and '.join(f'{count} ({name})' for count, name in sorted(counts.items()))}; choose the channels to "
            "use, or leave the others out."
        )
    if not wanted:
        return tuple(range(next(iter(counts), 0)))
    for count, name in counts.items():
        if not all(0 <= channel < count for channel in wanted):
            raise InvalidInput(
                f"{role}_channels must be channels that every image has, 0 to {count - 1} for {name!r}, got "
                f"{', '.join(map(str, wanted))}."
            )
    return wanted


def _stored(
    orders: Orders, place: Place, channels: tuple[tuple[int, ...], tuple[int, ...]], stream: IO[bytes]
) -> Iterator[tuple[Place, tuple[int, ...], tuple[int, ...]]]:
    """Append the planes of a pair to `stream`; their shapes."""
    assert place.target is not None
    pictures = (place.source, place.target)
    paths = [orders.task.file(orders.storage, picture) for picture in pictures]
    with (
        open_image(paths[0], pictures[0].description) as source,
        open_image(paths[1], pictures[1].description) as target,
    ):
        for number in range(place.source.description.planes):
            shapes = []
            for picture, image, used in zip(pictures, (source, target), channels, strict=True):
                plane = image.plane(number)
                shapes.append((len(used), *plane.shape[1:]))
                for channel in used:
                    _append(plane[channel], stream, picture)
            yield place, shapes[0], shapes[1]


def _append(channel: np.ndarray, stream: IO[bytes], picture: Picture) -> None:
    for first in range(0, len(channel), _ROWS):
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told
            rows = np.ascontiguousarray(channel[first : first + _ROWS], np.float32)
        if not np.isfinite(rows).all():
            raise InvalidInput(
                f"{picture.name!r} has values that are not numbers (NaN) or infinite; repair it or leave its pair out."
            )
        stream.write(rows.data)


def _mapped(numbers: np.ndarray, shapes: Sequence[tuple[Place, tuple[int, ...], tuple[int, ...]]]) -> Iterator[Plane]:
    at = 0
    for place, *both in shapes:
        images = []
        for shape in both:
            images.append(numbers[at : at + math.prod(shape)].reshape(shape))
            at += math.prod(shape)
        yield Plane(place.name, place.part, images[0], images[1])


def _starts(length: int, patch: int, side: int) -> list[int]:
    """Where windows of `side` begin: as many as patches cover `length`, the last one at its end."""
    last = max(0, length - side)
    count = math.ceil(length / patch)
    return [round(last * number / max(1, count - 1)) for number in range(count)]


def _window(image: np.ndarray, top: int, left: int, side: int) -> Tensor:
    cut = np.array(image[:, top : top + side, left : left + side])
    missing = [(0, side - length) for length in cut.shape[1:]]
    return torch.from_numpy(np.pad(cut, [(0, 0), *missing], "symmetric") if any(map(any, missing)) else cut)
