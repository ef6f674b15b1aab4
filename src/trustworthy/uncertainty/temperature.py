"""One number that makes confidences honest: the temperature of the logits, fitted on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.core.predictive import pooled
from trustworthy.core.protocols import Posterior, Repeated, as_posterior, drawn, members_of
from trustworthy.metrics import inputs

RANGE = 1e-3, 1e3
"""Temperatures between which one is sought, in mean distances of a logit to the largest of its row; beyond,
probabilities are 0 and 1, or all equal.
"""


def fit_temperature(logits: ArrayLike, y: ArrayLike) -> float:
    """The temperature T at which softmax(logits / T) has the least mean negative log-likelihood of `y`.

    That is convex in 1 / T, so the root of its derivative is found by bisection, without a step size or a start.

    Parameters
    ----------
    logits : (n, classes), finite; of several draws the pooled ones, `predict(model, x).logits`. Rows that the model was
        not trained on. y : their classes (n,), at least two different ones.

    Returns
    -------
    T > 0: above 1 where the model is too sure of itself. At an end of `RANGE` with a warning: at the lower one the
    largest logit of every row is right, at the upper one the logits tell no more than chance.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", 2017.
    """
    from scipy.optimize import brentq

    scores = inputs.finite("logits", logits, "n classes")
    classes = inputs.class_labels("y", y, scores.shape[1])
    inputs.same_length(logits=scores, y=classes)
    if len(set(classes.tolist())) < 2:
        raise InvalidInput(
            f"y must hold at least two classes, got only class {classes[0]}: rows of one class tell nothing of the "
            "confidence in the others; hold out rows at random."
        )
    scores = scores - scores.max(axis=1, keepdims=True)
    given = scores[np.arange(len(classes)), classes]
    if not scores.any():
        raise InvalidInput(
            "logits must differ between classes, got rows of equal numbers: no temperature changes them."
        )

    def slope(log_temperature: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / T."""
        weights = np.exp(scores * np.exp(-log_temperature))
        return float((np.average(scores, axis=1, weights=weights) - given).mean())

    cold, hot = np.log(np.array(RANGE) * -scores.mean())
    if slope(cold) <= 0 or slope(hot) >= 0:
        end, why = (cold, "the largest logit is right in each") if slope(cold) <= 0 else (hot, "they tell nothing")
        at = float(np.exp(end))
        warn(f"the best temperature of these logits has no bound: of {len(classes)} rows {why}; taken is {at:.3g}.")
        return at
    root: Any = brentq(slope, cold, hot, xtol=1e-12)
    return float(np.exp(root))


@dataclass(frozen=True, eq=False)
class _Tempered:
    posterior: Posterior
    temperature: float
    count: int

    def __call__(self, x: Tensor) -> Float[Tensor, "batch classes"]:
        return pooled([predictor(x) for predictor in drawn(self.posterior, self.count)]) / self.temperature


def tempered(model: Any, temperature: float, *, draws: int | None = None) -> Posterior:
    """`model` with its logits divided by `temperature`; no row changes its class.

    The probabilities of several draws are averaged first and tempered then, as `fit_temperature` saw them: draws that
    are tempered alone could outvote each other, and then the mean changes classes (Rahaman and Thiery, "Uncertainty
    quantification and deep ensembles", 2021). So an ensemble becomes one predictor. How far its members disagree is
    asked of the ensemble itself.

    Parameters
    ----------
    model : a classifier or a posterior of them. temperature : > 0, of `fit_temperature`.
    draws : averaged at each call; None means all members of an ensemble, and one draw of anything else.
    """
    checks.real("temperature", temperature, above=0.0)
    posterior = as_posterior(model)
    count = (members_of(posterior) or 1) if draws is None else checks.integer("draws", draws, at_least=1)
    return Repeated(_Tempered(posterior, float(temperature), count))
