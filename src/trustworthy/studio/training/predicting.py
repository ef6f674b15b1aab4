"""A model asked about whole images, plane by plane and tile by tile, into arrays that lie on the disk.

What is in memory is a plane of the source and a band of tiles, whatever the size of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num

from trustworthy.core.seeds import torch_generator
from trustworthy.nn.image_to_image import ImageToImage
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.reading import OpenImage
from trustworthy.studio.training.saving import Saved
from trustworthy.uncertainty import predict_tiled

TILE, SMALLEST = 1024, 64
Plane = Num[np.ndarray, "channels height width"]
Planes = Float[np.ndarray, "planes channels height width"]


@dataclass(frozen=True, eq=False)
class Answer:
    """Mean and standard deviation of the members for each plane of an image, in units of the target, on the disk."""

    mean: Planes
    std: Planes


class Asking:
    """A saved model that is asked about one image after another.

    tile : side of the tiles in pixels: as large as the result of the whole image asks for; halved for good where the
        memory does not suffice, which `notes` tells.
    """

    def __init__(self, saved: Saved, seed: int = 0) -> None:
        self.saved, self.notes, self._seed = saved, list[str](), seed
        self.device = saved.model.source.mean.device
        reach = max((net.reach for net in saved.model.modules() if isinstance(net, ImageToImage)), default=0)
        self.tile = max(TILE, 4 * reach)

    def __call__(self, image: OpenImage, scratch: Path, tell: Callable[[float], None] = lambda share: None) -> Answer:
        """Ask about all planes of `image`; the arrays are files in the folder `scratch`.

        tell : told the share that is done.
        """
        about, described = self.saved.about, image.description
        shape = (described.planes, len(about.target_channels), described.height, described.width)
        answer = Answer(*(scratch_array(scratch / name, shape) for name in ("mean.raw", "std.raw")))
        for place in range(described.planes):
            plane = selected(image.plane(place), about.source_channels)
            self._ask(plane, answer, place, lambda share, place=place: tell((place + share) / described.planes))
        return answer

    def _ask(self, plane: Plane, answer: Answer, place: int, tell: Callable[[float], None]) -> None:
        while True:
            try:
                predict_tiled(
                    self.saved.model, plane, tile=self.tile, draws=self.saved.about.draws, device=self.device,
                    out=(answer.mean[place], answer.std[place]), progress=tell,
                    generator=torch_generator(self._seed, "results"),
                )  # fmt: skip
                return
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.tile <= SMALLEST:
                    raise
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.tile //= 2
            self.notes.append(
                f"The memory did not suffice for tiles of {2 * self.tile} pixels, so tiles of {self.tile} were used; "
                "close to their edges the prediction may differ slightly from that of the whole image."
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine or of its accelerator did not suffice."""
    told = str(error).lower()
    said = "out of memory" in told or "can't allocate memory" in told
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said)


def scratch_array(file: Path, shape: tuple[int, ...]) -> Planes:
    """An array of float32 in a new file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return np.memmap(file, np.float32, "w+", shape=shape)


def selected(plane: Plane, channels: Sequence[int]) -> Plane:
    """The wanted channels in this order; the plane itself, not a copy of it, where that is all of them."""
    return plane if list(channels) == list(range(len(plane))) else plane[list(channels)]


def like(target: Description, channels: Sequence[int], source: Description, dtype: str = "float32") -> Description:
    """What a prediction for `source` is written like: its sizes, with axes, order and channel names of the target.

    target : of the pair, or where there is none that of the training. Moments and depths that the source has and the
    target does not know come first. channels : of the target that are predicted.
    """
    axes, lengths = target.axes, {axis: source.length(axis) for axis in "TZYX"}
    if len(channels) == target.channels:
        lengths |= {axis: target.length(axis) for axis in "CS"}
    else:  # colours of a pixel of which some are left out are channels
        axes = axes.replace("S", "" if "C" in axes else "C")
        lengths["C"] = len(channels)
    axes = "".join(axis for axis in "TZ" if axis not in axes and lengths[axis] > 1) + axes
    names = target.channel_names
    return Description(
        axes=axes,
        shape=tuple(lengths[axis] for axis in axes),
        dtype=dtype,
        pixel_size=source.pixel_size or target.pixel_size,
        channel_names=tuple(names[each] for each in channels) if len(names) == target.channels else (),
    )


def single_channel(description: Description, dtype: str = "uint8") -> Description:
    """The same for one number in each pixel, as in a mask."""
    kept = [
        (axis, length) for axis, length in zip(description.axes, description.shape, strict=True) if axis not in "CS"
    ]
    return description.model_copy(
        update={
            "axes": "".join(axis for axis, _ in kept), "shape": tuple(length for _, length in kept), "dtype": dtype,
            "channel_names": (),
        }
    )  # fmt: skip
