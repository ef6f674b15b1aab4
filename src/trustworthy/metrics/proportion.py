"""How far a share of successes may be off, by exact bounds of Clopper and Pearson, and a difference of two numbers."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput

Interval = tuple[float, float]


def proportion_interval(successes: int, n: int, level: float = 0.95) -> Interval:
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


def grouped_interval(hits: Bool[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"], level: float = 0.95) -> Interval:
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


def _interval(successes: float, n: float, level: float) -> Interval:
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


def difference_interval(
    before: float, interval_before: Interval, after: float, interval_after: Interval, correlation: float = 0.0
) -> Interval:
    """Interval of `after` - `before` from an interval of each, at the level of both.

    The distance to an end is combined from the distances of the two values to theirs, as variances would be.

    Parameters
    ----------
    interval_before, interval_after : (low, high) around the values.
    correlation : of the two estimates, in [-1, 1]; 0 where they come from independent examples.

    References
    ----------
    Zou and Donner, "Construction of confidence limits about effect measures: a general approach", 2008.
    """
    checks.real("correlation", correlation, at_least=-1.0, at_most=1.0)
    for name, value, (low, high) in (("before", before, interval_before), ("after", after, interval_after)):
        if not low <= value <= high:
            raise InvalidInput(f"interval_{name} must hold {name} = {value!r}, got ({low!r}, {high!r}).")

    def apart(first: float, second: float) -> float:
        return math.sqrt(max(first**2 + second**2 - 2.0 * correlation * first * second, 0.0))

    (low_before, high_before), (low_after, high_after) = interval_before, interval_after
    difference = after - before
    down, up = apart(after - low_after, high_before - before), apart(high_after - after, before - low_before)
    return difference - down, difference + up


def paired_share_interval(lost: int, gained: int, n: int, level: float = 0.95) -> Interval:
    """Interval of the change of a share between two answers about the same `n` examples.

    The change is (gained - lost) / n, a difference of two shares with exact intervals (Clopper and Pearson) of which
    each excludes the other; they are combined by `difference_interval`. It is never a point.

    Parameters
    ----------
    lost, gained : examples that only the first answer, or only the second, has right; lost + gained <= n.

    Notes
    -----
    Enumerated over all outcomes of 5 to 200 examples it covers the change as often as `level` says, or more often. It
    leaves out 0 where the exact test of McNemar rejects, and at counts on its edge: 5 lost and none gained, 11 and 3.
    """
    checks.integer("n", n, at_least=1)
    checks.integer("lost", lost, at_least=0, at_most=n)
    checks.integer("gained", gained, at_least=0, at_most=n - lost)
    p, q = lost / n, gained / n
    # Of one multinomial; where all examples changed, what one share gains the other loses.
    correlation = -1.0 if p + q == 1.0 else -math.sqrt(p * q / ((1.0 - p) * (1.0 - q)))
    each = proportion_interval(lost, n, level), proportion_interval(gained, n, level)
    low, high = difference_interval(p, each[0], q, each[1], correlation)
    return max(low, -1.0), min(high, 1.0)
