"""The contract of what a finding saves beside its value: keys of `series` and roles of `arrays`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, ClassVar, SupportsFloat

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def _null_is_nan(value: object) -> object:
    return math.nan if value is None else value


def null_where_nan(values: Iterable[SupportsFloat]) -> list[float | None]:
    """Numbers as a series saves them: null where a value is NaN or infinite."""
    return [float(value) if math.isfinite(float(value)) else None for value in values]


Number = Annotated[float, BeforeValidator(_null_is_nan)]
"""A number of a series; JSON has no NaN, so that a value which could not be measured is saved as null."""


class Series(BaseModel):
    """Numbers of one finding; keys that the report does not draw are allowed and ignored.

    roles : arrays that the kind cannot be drawn without.
    aligned : keys whose lists have one entry per point; those left empty are not looked at.
    binned : keys whose lists have one entry per interval between the `edges`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    roles: ClassVar[frozenset[str]] = frozenset()
    aligned: ClassVar[tuple[str, ...]] = ()
    binned: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _lengths(self) -> Series:
        values = dict(self)
        expected = {key: len(values[self.aligned[0]]) for key in self.aligned}
        expected |= {key: len(values["edges"]) - 1 for key in self.binned}
        for key, length in expected.items():
            value, required = values[key], type(self).model_fields[key].is_required()
            for name, item in value.items() if isinstance(value, dict) else [(key, value)]:
                if len(item) != length and (item or required):
                    raise ValueError(f"{name} must have {length} entries, has {len(item)}")
        return self
