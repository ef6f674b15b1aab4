"""Words that several parts of the studio say alike."""

from __future__ import annotations


def many(count: int, what: str) -> str:
    """So many of them: "no pairs", "1 pair", "3 pairs"."""
    return f"{count or 'no'} {what}{'s' * (count != 1)}"
