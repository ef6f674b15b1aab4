"""The examples of an audit: labelled rows, and what is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.threat import Bounds


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Labelled rows that a model is audited on.

    x : images (n, channels, h, w) in [0, 1], or rows of a table (n, features), in the units that the model takes.
    y : true classes (n,).
    rows : index of each example in the test set it was drawn from, which had `available` rows.
    center, spread : mean and standard deviation of each feature of a table; None for images.
    """

    name: str
    x: Float[Tensor, "n *shape"]
    y: Int[Tensor, " n"]
    rows: Int[np.ndarray, " n"]
    available: int
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    center: Float[Tensor, " features"] | None = None
    spread: Float[Tensor, " features"] | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def is_image(self) -> bool:
        """Whether one example is (channels, height, width)."""
        return self.x.ndim == 4

    @property
    def bounds(self) -> Bounds | None:
        """Box of valid inputs: [0, 1] for images, none for tables."""
        return (0.0, 1.0) if self.is_image else None

    @property
    def units(self) -> str:
        """What a radius of an attack is measured in."""
        return "pixel values in [0, 1]" if self.is_image else "standard deviations of each feature"

    def class_name(self, label: int) -> str:
        """Name of a class, or its number where there are no names."""
        return self.class_names[label] if label < len(self.class_names) else str(label)

    def feature_name(self, column: int) -> str:
        """Name of a column of a table."""
        return self.feature_names[column] if column < len(self.feature_names) else f"feature {column}"

    def described(self) -> dict[str, Any]:
        """What `findings.json` says of the data."""
        n_classes = max(len(self.class_names), int(self.y.max()) + 1)
        return {
            "name": self.name,
            "rows": len(self.x),
            "available": self.available,
            "shape": list(self.x.shape[1:]),
            "classes": [self.class_name(label) for label in range(n_classes)],
            "units": self.units,
            "fingerprint": self.fingerprint,
            **self.origin,
        }

    @cached_property
    def fingerprint(self) -> str:
        """Hash of inputs and labels."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.x, self.y, self.center, self.spread):
            if array is not None:
                digest.update(f"{array.dtype} {tuple(array.shape)}".encode())
                digest.update(array.contiguous().numpy().tobytes())
        return digest.hexdigest()
