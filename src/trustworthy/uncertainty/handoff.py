"""Which answers go to a person: a threshold of the confidence that keeps the wanted risk, with a guarantee."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import clopper_pearson_lower, inputs

STEPS = 20
"""Coverages that are tried at most: 1, 1 - 1/STEPS, ..."""


@dataclass(frozen=True)
class Handoff:
    """A rule: the model answers where its confidence is above `threshold`, a person answers elsewhere.

    threshold : -inf where the model answers everything, inf where no threshold that was tried keeps the risk.
    coverage : share of the examples it was fitted on that the model answers.
    risk_bound : upper bound of the share of wrong answers among those of the model, <= `risk`; 1 where it answers none.
    risk : the share wanted. level : probability, over the examples, that the share is below it.
    """

    threshold: float
    coverage: float
    risk_bound: float
    risk: float
    level: float

    def answered(self, confidence: ArrayLike) -> Bool[np.ndarray, " n"]:
        """Whether the model answers each example (n,); the others are a person's."""
        return inputs.numbers("confidence", confidence, "n") > self.threshold


def handoff_threshold(confidence: ArrayLike, wrong: ArrayLike, *, risk: float, level: float = 0.95) -> Handoff:
    """The lowest threshold at which the model's answers are wrong at most at `risk`, with probability `level`.

    Guarantee: of all sets of examples that could have been drawn, at most a share 1 - `level` gives a threshold above
    which answers to new examples are wrong more often than `risk`. It assumes that the examples are independent, were
    used neither to train nor to choose the model, and that new ones come from the same distribution: it does not hold
    after a shift, and says nothing of the answers of one class or group. Several examples of one patient or one field
    are not independent.

    The thresholds tried are the confidences at fixed ranks. The examples above such a rank are independent draws from
    all that lie above it, so that their number of errors is binomial; its bound is that of Clopper and Pearson, and as
    the best of up to `STEPS` thresholds is chosen, each is bounded with a failure probability of 1 - `level` over
    their number (Bonferroni). Where examples are few, fewer thresholds are tried.

    Parameters
    ----------
    confidence : (n,) higher means more certain, on any scale; equal ones are answered together or not at all.
    wrong : (n,) whether the model's answer is wrong (bool, or 0 and 1). risk, level : in (0, 1).

    Raises
    ------
    InvalidInput
        Where n is too small to show the risk even without an error; the message says how many examples that needs.

    References
    ----------
    Geifman and El-Yaniv, "Selective classification for deep neural networks", 2017 (bounds on a grid of ranks);
    Angelopoulos et al., "Learn then test: calibrating predictive algorithms to achieve risk control", 2021.
    """
    scores, errors = inputs.numbers("confidence", confidence, "n"), inputs.binary("wrong", wrong)
    inputs.same_length(confidence=scores, wrong=errors)
    checks.fraction("risk", risk)
    checks.fraction("level", level)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ranks = _ranks(len(scores), risk, 1.0 - level)
    thresholds = np.append(ordered, -np.inf)[ranks]
    answered = np.searchsorted(-ordered, -thresholds, side="left")  # strictly above
    right = answered - np.append(0, errors[order].cumsum())[answered]
    bounds = 1.0 - clopper_pearson_lower(right, np.maximum(answered, 1), (1.0 - level) / len(ranks))
    kept = np.flatnonzero(bounds <= risk)
    if not len(kept):
        return Handoff(np.inf, 0.0, 1.0, risk, level)
    best = kept[np.argmax(answered[kept])]
    return Handoff(float(thresholds[best]), float(answered[best] / len(scores)), float(bounds[best]), risk, level)


def _ranks(n: int, risk: float, alpha: float) -> Int[np.ndarray, " steps"]:
    """n and as many ranks below it, in steps of n / STEPS, as can each be shown to keep the risk without an error."""
    needed = n
    for steps in range(STEPS, 0, -1):
        ranks = -(-n * np.arange(STEPS, STEPS - steps, -1) // STEPS)
        needed = math.ceil(math.log(alpha / steps) / math.log1p(-risk))
        if ranks[-1] >= needed:
            return np.unique(ranks)
    raise InvalidInput(
        f"{n} examples are too few to show a risk of {risk:g} at level {1 - alpha:g}, which needs at least {needed} "
        "without an error among them; give more, or ask for a higher risk or a lower level."
    )
