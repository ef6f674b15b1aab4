"""How far a share of successes may be off: exact bounds of Clopper and Pearson."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput


def proportion_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of the probability of success, from `successes` among `n` independent trials.

    Each end is missed with probability at most (1 - level) / 2, whatever the probability. It is never a point: without
    a failure it reaches down to ((1 - level) / 2) ** (1 / n).

    Parameters
    ----------
    successes : 0..n. n : >= 1. level : in (0, 1).

    Returns
    -------
    (low, high) in [0, 1], around successes / n.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", 1934.
    """
    checks.integer("n", n, at_least=1)
    hits = checks.integer("successes", successes, at_least=0, at_most=n)
    if not checks.real("level", level, above=0.0) < 1.0:
        raise InvalidInput(f"level must be < 1, got {level!r}.")
    low, missed = clopper_pearson_lower(np.array([hits, n - hits]), n, (1.0 - level) / 2)
    return float(low), 1.0 - float(missed)


def clopper_pearson_lower(successes: Int[np.ndarray, " k"], n: int, alpha: float) -> Float[np.ndarray, " k"]:
    """Exact one-sided lower bounds of the probability of success, each above it with probability at most `alpha`.

    The quantile `alpha` of the Beta(successes, n - successes + 1) distribution; 0 without a success.
    """
    from scipy.special import betaincinv

    some = np.maximum(successes, 1)
    return np.where(successes > 0, betaincinv(some, n - some + 1.0, alpha), 0.0)
