"""The examples of an audit: labelled rows, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.digest import digest
from trustworthy.report.domain import Domain


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Labelled rows that a model is audited on.

    x : in the units that the model takes; `domain` says what they are.
    y : true classes (n,).
    rows : index of each example in the test set it was drawn from, which had `available` rows.
    """

    name: str
    x: Float[Tensor, "n *shape"]
    y: Int[Tensor, " n"]
    rows: Int[np.ndarray, " n"]
    available: int
    domain: Domain
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)

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
            "name": self.name, "rows": len(self.x), "available": self.available, "shape": list(self.x.shape[1:]),
            "classes": [self.class_name(label) for label in range(n_classes)], "units": self.domain.units,
            "fingerprint": self.fingerprint, **self.origin,
        }  # fmt: skip

    @cached_property
    def fingerprint(self) -> str:
        """Hash of inputs and labels."""
        return digest(self.x, self.y, self.domain.center, self.domain.spread)
