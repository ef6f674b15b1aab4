"""Seeds of which a few run each time and all with `pytest -m slow`."""

from typing import Any

import pytest


def first(fast: int, of: int) -> list[Any]:
    """Seeds 0 to `of` - 1, those from `fast` on marked as slow."""
    return [*range(fast), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(fast, of))]
