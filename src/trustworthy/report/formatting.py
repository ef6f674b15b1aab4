"""How the report writes numbers, durations and conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage: 0.8733 -> "87.3%"."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f}%"


def percents(low: float, high: float, digits: int = 1) -> str:
    """An interval of shares: "81.2 to 87.3%"; nothing where it was not measured."""
    return NOTHING if math.isnan(low + high) else f"{100 * low:.{digits}f} to {percent(high, digits)}"


def number(value: object) -> str:
    """A score with three significant digits; counts and words as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e6):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{int(value):,}" if isinstance(value, int | float) else str(value)


def score(value: float | None) -> str:
    """A score with three decimals, more where it is small: 0.0812 -> "0.081"."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.3f}" if round(abs(value), 4) >= 0.01 or value == 0.0 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds in words: 0.4 s, 41 s, 2 min 5 s, 1 h 12 min."""
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest}\u00a0s"
    if minutes < 60:
        return f"{minutes}\u00a0min {rest}\u00a0s"
    return f"{minutes // 60}\u00a0h {minutes % 60}\u00a0min"


def all_of(names: Sequence[str]) -> str:
    """A sentence's list: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def words(content: Any) -> str:
    """A JSON value in one line of text."""
    if isinstance(content, Mapping):
        return ", ".join(f"{key} {words(item)}" for key, item in content.items())
    if isinstance(content, Sequence) and not isinstance(content, str):
        return ", ".join(words(item) for item in content) if content else "none"
    return number(content)


def flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows (dotted key, text)."""
    rows: list[tuple[str, str]] = []
    for key, item in content.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            rows += flat(item, f"{name}.")
        else:
            rows.append((name, words(item)))
    return rows
