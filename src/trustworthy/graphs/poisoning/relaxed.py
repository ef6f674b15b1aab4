"""Label flips relaxed to a ball: the threshold method of the code released with the dissertation, solved exactly."""

from __future__ import annotations

from math import sqrt

import numpy as np
from jaxtyping import Float

from trustworthy.graphs.poisoning.search import Effect, Flips, Margin, best_prefix, prepared
from trustworthy.graphs.poisoning.trust_region import minimize_in_ball


def relaxed(margin: Margin, effect: Effect, budget: int) -> Flips:
    """Flip the labels whose delta falls the most in the ball ||delta - 1|| <= 2 sqrt(budget) around (1.6)'s sets.

    Labels whose delta does not fall below 1 stay. Of this ranking the best part, from its front, is returned: sorted,
    and never worse than no flips (the released method flips all of it). Arguments and errors as in `search`.
    Deterministic. Cost: O(unlabelled labelled² + labelled³).
    """
    (margin, effect, *_), budget = prepared(margin, effect, budget)
    if budget == 0:
        return np.empty(0, np.int64)
    p = relaxed_flips(margin, effect, budget)
    ranking = np.argsort(-p, kind="stable")[:budget]
    return best_prefix(margin, effect, ranking[p[ranking] > 0.0])


def relaxed_flips(margin: Margin, effect: Effect, budget: int) -> Float[np.ndarray, " labelled"]:
    """The p = (1 - delta) / 2 with ||p|| <= sqrt(budget) that maximises ½ ||margin - effect p - 1||².

    That is ½ ||K (y ∘ delta) - t||² for aims t in {-1, 1}, whose sign is put into the margins: without the sign g of
    (1.6), a trust-region problem (1.4).
    """
    hessian, gradient = -(effect.T @ effect), effect.T @ (margin - 1.0)
    return minimize_in_ball(hessian, gradient, sqrt(budget)).point
