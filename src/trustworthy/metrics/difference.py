"""How far a difference of two measured numbers may be off."""

from __future__ import annotations

import math

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics.proportion import proportion_interval

Interval = tuple[float, float]


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
