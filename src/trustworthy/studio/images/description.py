"""What is known of an image without its pixels: axes, sizes, type, pixel size, names of its channels."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field, ValidationError, model_validator

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.values import Value, faults

LETTERS = "TZCYXS"
"""Time, depth, channel, height, width, and S, samples: the colours of a pixel that lie beside each other."""


class Description(Value):
    """What an image is, as its file says it or as a person has corrected it.

    axes : a letter of `LETTERS` for each axis of the stored array, in its order; Y and X are among them, each once.
    shape : of the stored array. dtype : such as "uint16".
    pixel_size : micrometres along "X", "Y", "Z", as far as the file says it. channel_names : of C, where it says them.
    guessed : the file does not name its axes, and `axes` is the usual order for its kind; a person has to look.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: str
    pixel_size: dict[str, float] = Field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    guessed: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Description:
        if len(self.axes) != len(self.shape) or len(set(self.axes)) < len(self.axes) or set(self.axes) - set(LETTERS):
            raise ValueError(
                f"axes must name each of the {len(self.shape)} axes {self.shape} once, by letters of {LETTERS}, got "
                f"{self.axes!r}."
            )
        if not {"Y", "X"} <= set(self.axes):
            raise ValueError(f"axes must hold Y and X, the height and the width of the image, got {self.axes!r}.")
        return self

    def length(self, axis: str) -> int:
        """Along an axis; 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def height(self) -> int:
        return self.length("Y")

    @property
    def width(self) -> int:
        return self.length("X")

    @property
    def channels(self) -> int:
        """Of one plane: those of C, and of each the samples of S."""
        return self.length("C") * self.length("S")

    @property
    def planes(self) -> int:
        """Images of one height and width that the file holds: moments times depths."""
        return self.length("T") * self.length("Z")

    @property
    def pixels(self) -> int:
        return math.prod(self.shape)

    def called(self, axes: str) -> Description:
        """The same with axes that a person has named. Raises InvalidInput."""
        return described(**{**self.model_dump(), "axes": axes.strip().upper(), "guessed": False})

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def described(**fields: Any) -> Description:
    """A description whose axes may not fit. Raises InvalidInput, in the words of the first fault."""
    try:
        return Description(**fields)
    except ValidationError as error:
        raise InvalidInput(faults(error)[0]) from error
