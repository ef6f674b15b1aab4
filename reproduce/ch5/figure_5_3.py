"""Figure 5.3: samples of the four densities, and how much of them is covered by cells."""

from __future__ import annotations

from typing import Any

from reproduce.ch5.fields import DENSITIES
from reproduce.ch5.models import Spec
from reproduce.ch5.picture import grey, panel, png
from reproduce.runner import Setting
from reproduce.store import Measured

BRIGHT = 0.1
"""Share of the largest value of all targets from which a pixel counts as covered."""


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a density."""
    return list(DENSITIES)


def measure(cell: str, setting: Setting) -> list[Measured]:
    """The share that is covered, the share that is dark, and the picture: sources above, targets below."""
    options = setting.options
    tests = Spec(scale=options["budget"], suite=options["suite"], method="naive", seed=setting.seed).data.tests
    pairs = tests[cell]
    targets = [each.y for each in tests.values()]
    low, high = min(float(y.min()) for y in targets), max(float(y.max()) for y in targets)
    covered = float((pairs.y > low + BRIGHT * (high - low)).double().mean())
    columns = [grey(images[: options["samples"]].numpy()) for images in (pairs.x, pairs.y)]
    picture = png(panel([list(column) for column in zip(*columns, strict=True)]))
    return [
        Measured(name=f"{cell}.covered", value=round(covered, 6), conditions={"png": picture}),
        Measured(name=f"{cell}.dark", value=round(1 - covered, 6)),
    ]
