"""Ranges of seeds of which the first few are tested fast and the rest are slow."""

import pytest


def seeds(fast, whole, keep=()):
    """All seeds below `whole`: those below `fast`, and the ones to keep, run fast; the rest is marked slow."""
    slow = pytest.mark.slow
    return [seed if seed < fast or seed in keep else pytest.param(seed, marks=slow) for seed in range(whole)]
