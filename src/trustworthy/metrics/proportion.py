"""How far a share of successes may be off: exact bounds of Clopper and Pearson, and of grouped trials."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from trustworthy.core import checks


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
    return _interval(hits, n, level)


def grouped_interval(
    hits: Bool[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"], level: float = 0.95
) -> tuple[float, float]:
    """Interval of the probability of success where trials of one group (of a patient, a site) are not independent.

    It is that of so many independent trials as tell as much: n, over the ratio of the variance by groups to that of
    independent trials (at least 1), over the squared ratio of Student's quantiles with groups - 1 and n - 1 degrees of
    freedom, since few groups tell little of their variance. Where all or none of the trials succeed, that variance is
    unknown and each group counts once. Groups of one trial each have the exact interval; one group alone has (0, 1).

    References
    ----------
    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", 1998.
    """
    from scipy.special import stdtrit

    n, codes = len(hits), np.unique(groups, return_inverse=True)[1]
    share, count = float(hits.mean()), int(codes.max()) + 1
    if count == 1:
        return (0.0, 1.0) if n > 1 else _interval(int(hits.sum()), 1, level)
    if share in (0.0, 1.0):
        return _interval(share * count, count, level)
    between = np.bincount(codes, weights=hits - share)  # (count,) successes of each group beyond its share
    by_groups = count / (count - 1) * float(between @ between) / n**2
    fewer = max(1.0, by_groups / (share * (1.0 - share) / (n - 1)))
    tail = (1.0 - level) / 2
    fewer *= float(stdtrit(count - 1, tail) / stdtrit(n - 1, tail)) ** 2
    return _interval(share * n / fewer, n / fewer, level)


def _interval(successes: float, n: float, level: float) -> tuple[float, float]:
    tail = (1.0 - checks.fraction("level", level)) / 2
    low, missed = clopper_pearson_lower(np.array([successes, n - successes]), n, tail)
    return float(low), 1.0 - float(missed)


def clopper_pearson_lower(
    successes: Num[np.ndarray, " k"], n: float | Int[np.ndarray, " k"], alpha: float
) -> Float[np.ndarray, " k"]:
    """Exact one-sided lower bounds of the probability of success, each above it with probability at most `alpha`.

    The quantile `alpha` of the Beta(successes, n - successes + 1) distribution; 0 without a success. Counts may be
    fractions, of as many independent trials as tell as much.
    """
    from scipy.special import betaincinv

    some = np.where(successes > 0, successes, 1.0)
    return np.where(successes > 0, betaincinv(some, n - some + 1.0, alpha), 0.0)
