"""95 % intervals of what reproductions measure."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from reproduce.store import Measured

Z = 1.96


def mean(name: str, sample: np.ndarray, **conditions: object) -> Measured:
    """Mean of the finite entries of a sample; `points` counts them. None where there are none."""
    kept = sample[np.isfinite(sample)]
    if len(kept) == 0:
        return Measured(name=name, value=None, conditions={"points": 0, **conditions})
    half = Z * float(kept.std(ddof=1)) / math.sqrt(len(kept)) if len(kept) > 1 else math.inf
    centre = float(kept.mean())
    interval = (round(centre - half, 6), round(centre + half, 6)) if math.isfinite(half) else None
    return Measured(
        name=name, value=round(centre, 6), interval=interval, conditions={"points": len(kept), **conditions}
    )


def splits(name: str, sample: np.ndarray, **conditions: object) -> Measured:
    """Mean over random splits with Student's interval; `points` counts them, `each` has all. No interval of one."""
    n, centre = len(sample), float(sample.mean())
    half = float(stats.t.ppf(0.975, n - 1) * sample.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    interval = (round(centre - half, 6), round(centre + half, 6)) if n > 1 else None
    return Measured(
        name=name,
        value=round(centre, 6),
        interval=interval,
        conditions={"points": n, "each": sample.round(6).tolist(), **conditions},
    )


def share(name: str, events: np.ndarray, **conditions: object) -> Measured:
    """Share of true entries with its Wilson interval."""
    n, p = len(events), float(events.mean())
    centre, spread = p + Z**2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = ((centre + sign * spread) / (1 + Z**2 / n) for sign in (-1, 1))
    return Measured(
        name=name,
        value=round(p, 6),
        interval=(round(max(low, 0.0), 6), round(min(high, 1.0), 6)),
        conditions={"points": n, **conditions},
    )


def errors(name: str, radii: list[float], bounds: np.ndarray, **conditions: object) -> list[Measured]:
    """Robust error (3.39, 3.40) at each radius from the bound of each point, which is 0 where it is misclassified."""
    return [share(f"{name}@{radius:g}", bounds <= radius, **conditions) for radius in radii]
