"""Curves of a training as a drawing: what the template writes as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 12, 44
LOGARITHMIC_FROM = 20.0
"""Ratio of the largest to the smallest value from which the scale is logarithmic: a loss falls fast at first."""
Curves = Mapping[int, Mapping[int, tuple[float | None, float | None]]]


@dataclass(frozen=True)
class Line:
    """points : as SVG takes them. kind : "loss", of the training images, or "validation"."""

    member: int
    kind: str
    points: str
    last: tuple[float, float]


class Row(NamedTuple):
    """epoch : the last one, with its `loss` and `validation`. best, best_epoch : the lowest validation score."""

    member: int
    epoch: int
    loss: float | None
    validation: float | None
    best: float | None
    best_epoch: int | None


@dataclass(frozen=True)
class Chart:
    """ticks : place and label along an axis. rows : what a table says, of each member."""

    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    rows: list[Row]


def chart(curves: Curves, epochs: int) -> Chart | None:
    """A drawing of the curves on an axis of `epochs`; None while there is nothing to draw."""
    drawn = {
        (member, kind): points
        for member, values in sorted(curves.items())
        for place, kind in enumerate(("loss", "validation"))
        if (points := _points(values, place))
    }
    heights = [value for points in drawn.values() for _, value in points]
    if not heights:
        return None
    low, high = min(heights), max(heights)
    logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    ticks = _decades(low, high) if logarithmic else _steps(low, high)
    scale = math.log if logarithmic else float
    bottom, top = scale(min(low, *ticks)), scale(max(high, *ticks))
    longest = max(epochs, 2, *(epoch for points in drawn.values() for epoch, _ in points))

    def x(epoch: float) -> float:
        return round(LEFT + (epoch - 1) / (longest - 1) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (top - scale(value)) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    lines = []
    for (member, kind), points in drawn.items():
        places = [(x(epoch), y(value)) for epoch, value in points]
        lines.append(Line(member, kind, " ".join(f"{left},{down}" for left, down in places), places[-1]))
    inside = {1.0, *(tick for tick in _steps(1, longest) if 1 < tick <= longest)}
    return Chart(
        lines,
        [(x(tick), f"{tick:g}") for tick in sorted(inside)],
        [(y(tick), f"{tick:.3g}") for tick in ticks],
        [_row(member, values) for member, values in sorted(curves.items())],
    )


def _points(values: Mapping[int, tuple[float | None, float | None]], place: int) -> list[tuple[int, float]]:
    found = ((epoch, both[place]) for epoch, both in sorted(values.items()))
    return [(epoch, value) for epoch, value in found if value is not None and math.isfinite(value)]


def _row(member: int, values: Mapping[int, tuple[float | None, float | None]]) -> Row:
    best, epoch = min(((score, epoch) for epoch, score in _points(values, 1)), default=(None, None))
    return Row(member, max(values), *values[max(values)], best, epoch)


def _steps(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, `count` or so."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span / count))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= count)
    return [round(number * step, 12) for number in range(math.floor(low / step), math.ceil((low + span) / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten within, or 2 and 5 times these too where that makes few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    coarse, fine = ([factor * 10.0**power for power in powers for factor in each] for each in ((1,), (1, 2, 5)))
    return [tick for tick in (coarse if len(powers) > 4 else fine) if low <= tick <= high]
