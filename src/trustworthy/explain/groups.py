"""Features of an example: which coordinates are chosen, scored and perturbed together.

A feature is a pixel with its channels, a channel, a patch, a superpixel, a word or a column of a table. Every method
and every criterion takes the same argument `groups`; `as_groups` reads it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.core.free import Examples

Chosen = Bool[Tensor, "n *coalitions groups"]
"""Which groups of each example are meant; coalitions: any further axes between."""


class Groups(ABC):
    """Groups of coordinates of each example of a batch; those of one example serve for all."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Groups of an example, the absent ones included."""

    @property
    @abstractmethod
    def present(self) -> Bool[Tensor, "n groups"]:
        """Which groups have a coordinate: a shorter text has fewer words, an image fewer superpixels."""

    @cached_property
    def featured(self) -> Bool[Tensor, "some *shape"] | None:
        """The coordinates that belong to a group; None where all do."""
        found = self.free(self.present)
        return None if bool(found.all()) else found

    @abstractmethod
    def free(self, chosen: Chosen) -> Bool[Tensor, "n *coalitions_shape"]:
        """The coordinates of the chosen groups (n, *coalitions, *shape)."""

    def others(self, chosen: Bool[Tensor, "n k groups"]) -> Bool[Tensor, "n k *shape"]:
        """The coordinates that belong to groups, but to none that is chosen."""
        rest = ~self.free(chosen)
        return rest if self.featured is None else rest & self.featured[:, None]

    @abstractmethod
    def summed(self, values: Float[Tensor, "n *shape"]) -> Float[Tensor, "n groups"]:
        """Sum of the values of the coordinates of each group."""

    @abstractmethod
    def spread(self, scores: Float[Tensor, "n groups"]) -> Float[Tensor, "n *shape"]:
        """The score of its group at each coordinate, of several groups their sum; 0 where there is none."""

    @abstractmethod
    def rows(self, chosen: Int[Tensor, " some"]) -> Groups:
        """The groups of some examples."""

    @abstractmethod
    def on(self, device: torch.device) -> Groups:
        """The same groups, for examples on `device`."""


@dataclass(frozen=True, eq=False)
class Partition(Groups):
    """Groups that do not overlap.

    labels : (n or 1, *shape), number of the group of each coordinate; -1 where it belongs to none.
    number : of groups.
    """

    labels: Int[Tensor, "n *shape"]
    number: int

    @property
    def count(self) -> int:
        return self.number

    @property
    def present(self) -> Bool[Tensor, "n groups"]:
        flat = self.labels.flatten(1)
        found = torch.zeros(len(flat), self.count + 1, dtype=torch.bool, device=flat.device)
        return found.scatter_(1, flat + 1, value=True)[:, 1:]

    @cached_property
    def featured(self) -> Bool[Tensor, "some *shape"] | None:
        found = self.labels >= 0
        return None if bool(found.all()) else found

    def free(self, chosen: Chosen) -> Bool[Tensor, "n *coalitions_shape"]:
        return self._looked_up(chosen).reshape(*chosen.shape[:-1], *self.labels.shape[1:])

    def summed(self, values: Float[Tensor, "n *shape"]) -> Float[Tensor, "n groups"]:
        flat = values.flatten(1)
        if self._is_plain:
            return flat
        total = flat.new_zeros(len(flat), self.count + 1)
        return total.scatter_add_(1, (self.labels.flatten(1) + 1).expand(len(flat), -1), flat)[:, 1:]

    def spread(self, scores: Float[Tensor, "n groups"]) -> Float[Tensor, "n *shape"]:
        return self._looked_up(scores).reshape(-1, *self.labels.shape[1:])

    def rows(self, chosen: Int[Tensor, " some"]) -> Partition:
        return self if len(self.labels) == 1 else Partition(self.labels[chosen], self.count)

    def on(self, device: torch.device) -> Partition:
        return self if self.labels.device == device else Partition(self.labels.to(device), self.count)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether each coordinate, in its place, is a group of its own."""
        labels = self.labels.flatten(1)
        return labels.shape == (1, self.count) and bool((labels[0].diff() == 1).all()) and int(labels[0, 0]) == 0

    def _looked_up(self, values: Tensor) -> Tensor:
        """Values (n, ..., groups) at each coordinate (n, ..., d), zero where it belongs to no group."""
        flat = self.labels.flatten(1)
        if len(flat) == 1:
            found = values[..., flat[0].clamp_min(0)]
        else:
            index = flat.reshape(len(flat), *[1] * (values.ndim - 2), flat.shape[1]).expand(*values.shape[:-1], -1)
            found = values.gather(-1, index.clamp_min(0))
        inside = (flat >= 0).reshape(len(flat), *[1] * (values.ndim - 2), flat.shape[1])
        return found & inside if values.dtype == torch.bool else torch.where(inside, found, 0.0)


@dataclass(frozen=True, eq=False)
class Cover(Groups):
    """Groups that may overlap, the same for all examples.

    masks : (groups, *shape), the coordinates of each.
    """

    masks: Bool[Tensor, "groups *shape"]

    @property
    def count(self) -> int:
        return len(self.masks)

    @property
    def present(self) -> Bool[Tensor, "n groups"]:
        return self.masks.flatten(1).any(1)[None]

    def free(self, chosen: Chosen) -> Bool[Tensor, "n *coalitions_shape"]:
        covered = chosen.float() @ self.masks.flatten(1).float()
        return (covered > 0).reshape(*chosen.shape[:-1], *self.masks.shape[1:])

    def summed(self, values: Float[Tensor, "n *shape"]) -> Float[Tensor, "n groups"]:
        return values.flatten(1) @ self.masks.flatten(1).to(values).T

    def spread(self, scores: Float[Tensor, "n groups"]) -> Float[Tensor, "n *shape"]:
        return (scores @ self.masks.flatten(1).to(scores)).reshape(-1, *self.masks.shape[1:])

    def rows(self, chosen: Int[Tensor, " some"]) -> Cover:
        return self

    def on(self, device: torch.device) -> Cover:
        return Cover(self.masks.to(device))


def as_groups(groups: Any, x: Examples) -> Groups:
    """Read the argument `groups` of a method or a criterion for the batch `x`.

    Parameters
    ----------
    groups : None for what the shape suggests: of images (n, channels, h, w) each pixel with its channels, of tables
        (n, d) each column, of sequences (n, length, width) each position. A name, "pixel", "channel", "patch:4",
        "column", "word" or "coordinate" (each number alone). A label map of integers (*shape), (h, w) of images,
        (length) of sequences, or one for each example with a leading axis n; negative: of no group. A list of boolean
        masks (*shape), which may overlap; a list of lists of columns. Or `Groups`.
    x : inputs. Positions of a sequence that are zero throughout are padding, and of no group.

    Raises
    ------
    InvalidInput : groups that leave out coordinates which are not padding, or do not fit the shape.
    """
    if isinstance(groups, Groups):
        return groups.on(x.device)
    if groups is None or isinstance(groups, str):
        return _named(groups or {2: "column", 3: "word", 4: "pixel"}.get(x.ndim, "coordinate"), x)
    if isinstance(groups, Tensor | np.ndarray) and not _is_boolean(groups):
        return _labelled(torch.as_tensor(groups), x)
    if isinstance(groups, Sequence) and len(groups) and not _is_boolean(groups[0]):
        return _columns(groups, x)
    return _masked(groups, x)


def _is_boolean(values: Any) -> bool:
    return getattr(values, "dtype", None) in (torch.bool, np.bool_)


def _named(name: str, x: Examples) -> Groups:
    shape, device = x.shape[1:], x.device
    what, _, size = name.partition(":")
    if what not in NAMED:
        raise UnknownName.of("groups", name, [*NAMED, "patch:4"])
    if what in ("pixel", "channel", "patch") and len(shape) != 3:
        raise InvalidInput(
            f"groups {name!r} are of images (n, channels, h, w), got x of shape {tuple(x.shape)}; leave out groups."
        )
    if what == "coordinate" or (what == "column" and len(shape) == 1):
        return Partition(torch.arange(math.prod(shape), device=device).reshape(1, *shape), math.prod(shape))
    if what in ("word", "column"):
        if len(shape) != 2:
            raise InvalidInput(f"groups {name!r} do not fit x of shape {tuple(x.shape)}; leave out groups.")
        words = torch.arange(shape[0], device=device)[:, None].expand(shape)
        return Partition(torch.where((x != 0).any(-1, keepdim=True), words, -1), shape[0])
    return _of_image(what, size, shape, device)


@lru_cache(maxsize=16)
def _of_image(what: str, size: str, shape: torch.Size, device: torch.device) -> Partition:
    """Pixels, channels or patches, which depend on the shape alone: made once for all images of it."""
    channels, height, width = shape
    if what == "channel":
        return Partition(torch.arange(channels, device=device).reshape(1, -1, 1, 1).expand(1, *shape), channels)
    if what == "pixel":
        size = "1"
    if not size.isdigit() or int(size) < 1:
        raise InvalidInput(f"groups 'patch' need their side in pixels, such as 'patch:4', got {what}:{size}.")
    side = int(size)
    down, along = (torch.arange(length, device=device) // side for length in (height, width))
    patches = down[:, None] * (int(along[-1]) + 1) + along
    return Partition(patches.expand(1, *shape), int(patches[-1, -1]) + 1)


NAMED = ("pixel", "channel", "patch", "column", "word", "coordinate")


def _labelled(labels: Tensor, x: Examples) -> Partition:
    """A label map for all examples, or one for each; of images without channels, of sequences without width."""
    if labels.is_floating_point() or labels.is_complex():
        raise InvalidInput(f"groups must be a label map of integers, got {labels.dtype}; number the groups 0, 1, ...")
    labels, shape = labels.to(x.device, torch.int64), x.shape[1:]
    short = shape[1:] if len(shape) == 3 else shape[:1]  # (h, w) of an image, (length) of a sequence
    for lead in ((), (len(x),)):
        if labels.shape == (*lead, *shape):
            full = labels.reshape(-1, *shape)
        elif labels.shape == (*lead, *short):
            full = (
                labels.reshape(-1, 1, *short) if len(shape) == 3 else labels.reshape(-1, *short, *[1] * len(shape[1:]))
            )
            full = full.expand(-1, *shape)
        else:
            continue
        covered = (full >= 0) | (
            (x != 0).any(-1, keepdim=True).logical_not() if len(shape) == 2 else torch.tensor(False)
        )
        _check_covered(covered, shape)
        return Partition(full.clamp_min(-1), int(full.max()) + 1)
    raise InvalidInput(
        f"groups as a label map must have the shape {tuple(shape)} or {tuple(short)} of one example, or a leading axis "
        f"of {len(x)} besides, got {tuple(labels.shape)}."
    )


def _check_covered(covered: Tensor, shape: Sequence[int]) -> None:
    missing = int((~covered).reshape(len(covered), -1).sum(1).max())
    if missing:
        raise InvalidInput(
            f"groups must cover the input, but {missing} of {math.prod(shape)} coordinates are in no group; give the "
            "rest a group of its own."
        )


def _columns(groups: Sequence[Any], x: Examples) -> Groups:
    if x.ndim != 2:
        raise InvalidInput(f"groups as lists of columns are of tables (n, d), got x of shape {tuple(x.shape)}.")
    masks = torch.zeros(len(groups), x.shape[1], dtype=torch.bool, device=x.device)
    for number, columns in enumerate(groups):
        chosen = torch.as_tensor(columns, dtype=torch.int64, device=x.device).reshape(-1)
        if len(chosen) == 0 or int(chosen.min()) < 0 or int(chosen.max()) >= x.shape[1]:
            raise InvalidInput(
                f"groups must list columns in 0..{x.shape[1] - 1}, got {columns!r} in group {number}; leave out empty "
                "groups."
            )
        masks[number, chosen] = True
    return _masked(masks, x)


def _masked(groups: Any, x: Examples) -> Groups:
    try:
        masks = torch.as_tensor(groups) if _is_boolean(groups) else torch.stack([torch.as_tensor(m) for m in groups])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            "groups must be a name, a label map of integers, boolean masks of one shape, or lists of columns, got "
            f"{type(groups).__name__}."
        ) from error
    if masks.shape[1:] != x.shape[1:] or len(masks) == 0:
        raise InvalidInput(
            f"groups as masks must have the shape (groups, {', '.join(map(str, x.shape[1:]))}), got "
            f"{tuple(masks.shape)}."
        )
    masks = masks.to(x.device)
    _check_covered(masks.any(0)[None], x.shape[1:])
    if bool((masks.sum(0) > 1).any()):
        return Cover(masks)
    return Partition(masks.int().argmax(0)[None].long(), len(masks))


def superpixels(images: Float[Tensor, "n channels h w"], count: int = 64, compactness: float = 10.0) -> Partition:
    """About `count` superpixels of each image, by SLIC in the image's own colours.

    Nothing is drawn at random. Reference: Achanta et al. 2012, as in scikit-image.
    """
    from skimage.segmentation import slic

    maps = []
    for image in images.detach().cpu().double().movedim(1, -1).numpy():
        grey = image.shape[-1] not in (3, 4)
        given = image.mean(-1) if grey else image[..., :3]
        axis = None if grey else -1
        maps.append(slic(given, n_segments=count, compactness=compactness, channel_axis=axis, start_label=0))
    labels = torch.from_numpy(np.stack(maps)).to(images.device)[:, None].expand(-1, images.shape[1], -1, -1)
    return Partition(labels.long(), int(labels.max()) + 1)
