"""What counts of a binomial variable prove about its probability."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import bdtr, betaincinv


def clopper_pearson_lower(successes: Int[np.ndarray, " n"], draws: int, alpha: float) -> Float[np.ndarray, " n"]:
    """Exact one-sided lower bounds of the probability, each above it with probability at most `alpha`.

    The quantile `alpha` of the Beta(successes, draws - successes + 1) distribution; 0 without a success.
    """
    some = np.maximum(successes, 1)
    return np.where(successes > 0, betaincinv(some, draws - some + 1.0, alpha), 0.0)


def coin_p_value(heads: Int[np.ndarray, " n"], tails: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Two-sided p-values of a fair coin (binomial test at 1/2); 1 without a toss."""
    return np.minimum(1.0, 2.0 * bdtr(np.minimum(heads, tails).astype(np.float64), heads + tails, 0.5))
