"""The one schema of a measured claim, shared by the trust report's findings and the records of reproductions."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def versions() -> dict[str, str]:
    """Versions of what a measurement depends on."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    names = ("trustworthy", "torch", "numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


class Frozen(BaseModel):
    """What is saved: not to be changed, without unknown fields, NaN as null."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class Record(Frozen):
    """A measured number and all that is needed to measure it again.

    name : identifier of what was measured, words joined by dots ("robustness.linf.accuracy").
    value : the number; None where it could not be measured (`conditions` says why).
    interval : (low, high) interval of `value` at `level`, or None.
    unit : unit of `value` in words, "" for a share or a score.
    conditions : everything that defines the measurement: model, data, sizes, attack reprs, radii.
    wall_time : seconds that the measurement took.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    level: float = 0.95
    unit: str = ""
    conditions: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    versions: dict[str, str] = Field(default_factory=versions)
    device: str = "cpu"
    wall_time: float = Field(ge=0.0)
