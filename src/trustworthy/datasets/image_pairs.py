"""Pairs of images of the same places: what a model of image-to-image translation learns from and is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Num

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.datasets.columns import listed

Images = Num[np.ndarray, "n channels height width"]
Targets = Num[np.ndarray, "n outputs height width"]
Masks = Bool[np.ndarray, "n height width"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ImagePairs:
    """Images of the same places by two means, checked.

    name : what the set is called.
    source, target : (n, channels, height, width), of one size; integers as the camera gave them or finite real numbers.
        The channels, and the type, of the two may differ.
    names : of the places, all different.
    masks : (n, height, width), true where something lies that does not belong there; None where it is not known.
    groups : for each place what it belongs to, such as a density, a well or a patient.
    provenance : where the images are from, and what was done to them.
    """

    name: str
    source: Images
    target: Targets
    names: tuple[str, ...]
    masks: Masks | None = None
    groups: tuple[str, ...] | None = None
    provenance: str = ""

    def __post_init__(self) -> None:
        for role in ("source", "target"):
            _check_images(role, getattr(self, role), self.names)
        if self.source.shape[0] != self.target.shape[0] or self.source.shape[2:] != self.target.shape[2:]:
            raise InvalidInput(
                "source and target must be as many and of one size, got shapes "
                f"{self.source.shape} and {self.target.shape}; cut or resize both in the same way."
            )
        rows, *size = (len(self.source), *self.source.shape[2:])
        if self.masks is not None and (self.masks.shape != (rows, *size) or self.masks.dtype != bool):
            raise InvalidInput(
                f"masks must be bool of shape {(rows, *size)}, got {self.masks.dtype} of {self.masks.shape}."
            )
        for what in ("names", "groups"):
            given = getattr(self, what)
            if given is not None and len(given) != rows:
                raise InvalidInput(f"{what} must have one entry for each of the {rows} pairs, got {len(given)}.")
        if len(set(self.names)) < rows:
            raise InvalidInput("names must be all different, got some twice.")

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | np.ndarray | slice) -> ImagePairs:
        """Some of the pairs, by number, by a truth value for each, or as a slice."""
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows)]
        groups = None if self.groups is None else tuple(self.groups[row] for row in chosen)
        return self.each(lambda images: images[chosen], names=tuple(self.names[row] for row in chosen), groups=groups)

    def each(self, rule: Callable[[np.ndarray], np.ndarray], said: str = "", **changed: Any) -> ImagePairs:
        """Sources, targets and masks changed by one rule, which is `said` after the provenance; other fields too."""
        images = {
            role: rule(given) for role in ("source", "target", "masks") if (given := getattr(self, role)) is not None
        }
        return replace(self, **images, provenance=f"{self.provenance} {said}".strip(), **changed)

    def channels(self, *, source: Sequence[int] | None = None, target: Sequence[int] | None = None) -> ImagePairs:
        """Some channels of the sources and of the targets, by number; None keeps all of them."""
        kept = {role: list(given) for role, given in (("source", source), ("target", target)) if given is not None}
        for role, numbers in kept.items():
            for number in numbers:
                checks.integer(role, number, at_least=0, at_most=getattr(self, role).shape[1] - 1)
        return replace(self, **{role: getattr(self, role)[:, numbers] for role, numbers in kept.items()})


def _check_images(role: str, images: np.ndarray, names: Sequence[str]) -> None:
    if images.ndim != 4 or 0 in images.shape:
        raise InvalidInput(f"{role} must have shape (n, channels, height, width) without a zero, got {images.shape}.")
    if images.dtype.kind not in "uif":
        raise InvalidInput(f"{role} must hold integers or real numbers, got dtype {images.dtype}; convert it.")
    flat = images.reshape(len(images), -1)
    if images.dtype.kind == "f" and not np.isfinite(flat).all():
        broken = [name for name, row in zip(names, flat, strict=False) if not np.isfinite(row).all()]
        raise InvalidInput(f"{role} must be finite, got NaN or infinity in {listed(broken, 5)}; remove these pairs.")
    constant = (flat == flat[:, :1]).all(axis=1)
    if constant.all():
        raise InvalidInput(f"{role} must vary, got images of one value each; are these the right files?")
    if constant.any():
        shown = listed([name for name, same in zip(names, constant, strict=False) if same], 5)
        warn(f"{role} has one value everywhere in {shown}: no correlation is defined there; remove these pairs.")
