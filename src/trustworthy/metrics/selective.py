"""What a model would get wrong if it answered only where it is confident, and which cases go to a human."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import inputs


@dataclass(frozen=True)
class OperatingPoint:
    """A rule to answer where the confidence is at least `threshold` and to ask a human elsewhere.

    threshold : lowest confidence that is answered.
    coverage : share of the examples that are answered, in (0, 1].
    risk : mean loss of the answers.
    """

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True)
class RiskCoverageCurve:
    """One point for each distinct confidence, from the highest down: examples of equal confidence come together.

    threshold : the confidence; examples at or above it are answered.
    answered : number of examples answered.
    risk : mean loss of the answers.
    """

    threshold: Float[np.ndarray, " points"]
    answered: Int[np.ndarray, " points"]
    risk: Float[np.ndarray, " points"]

    @property
    def coverage(self) -> Float[np.ndarray, " points"]:
        """Share of the examples answered, in (0, 1]; the last one is 1."""
        return self.answered / self.answered[-1]

    @property
    def area(self) -> float:
        """AURC: the risk at 1, 2, ..., n answers, averaged; within a tie, its mean over random orders.

        Reference: Geifman et al., "Bias-reduced uncertainty estimation for deep neural classifiers", 2019.
        """
        answers = np.arange(1, self.answered[-1] + 1)
        loss = np.interp(answers, np.append(0, self.answered), np.append(0.0, self.answered * self.risk))
        return float((loss / answers).mean())

    def at_risk(self, risk: float) -> OperatingPoint | None:
        """Answer as many examples as possible with a mean loss of at most `risk`, in the units of the loss.

        Returns None where not even the most confident examples reach it. The risk is the one measured on these
        examples; choose the threshold on other examples than those it is reported for.
        """
        target = checks.real("risk", risk)
        reached = np.flatnonzero(self.risk <= target)
        if not len(reached):
            return None
        point = reached[-1]
        return OperatingPoint(float(self.threshold[point]), float(self.coverage[point]), float(self.risk[point]))


def risk_coverage_curve(confidence: ArrayLike, loss: ArrayLike) -> RiskCoverageCurve:
    """Mean loss of the answers against the share of examples answered, as the confidence asked for goes down.

    Parameters
    ----------
    confidence : (n,) higher means more certain, on any scale; infinities are allowed, NaN is not.
    loss : (n,) finite and >= 0, what an answer costs: wrong or not (bool), a squared error, ...

    References
    ----------
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010.
    """
    scores = inputs.numbers("confidence", confidence, "n")
    costs = inputs.finite("loss", loss, "n")
    inputs.same_length(confidence=scores, loss=costs)
    if costs.min() < 0:
        raise InvalidInput(
            f"loss must be >= 0, got {costs.min():g}; for scores where higher is better pass best - score."
        )
    threshold, group = np.unique(-scores, return_inverse=True)
    answered = np.bincount(group).cumsum()
    return RiskCoverageCurve(-threshold, answered, np.bincount(group, costs).cumsum() / answered)
