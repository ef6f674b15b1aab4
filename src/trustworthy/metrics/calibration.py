"""Are the predictions right, and do the probabilities mean what they say: proper scores, calibration (section 5.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.metrics import inputs


def accuracy(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Share of examples whose predicted class is their label.

    Parameters
    ----------
    predictions : scores (n, classes), logits or probabilities, of which the first largest entry is the prediction;
        or predicted classes (n,).
    labels : true classes (n,), integers in 0..classes-1.

    Returns
    -------
    Accuracy in [0, 1].
    """
    scores = inputs.numbers("predictions", predictions, "n", "n classes")
    known = scores.ndim == 2
    predicted = scores.argmax(axis=1) if known else inputs.class_labels("predictions", predictions)
    truth = inputs.class_labels("labels", labels, scores.shape[1] if known else None)
    inputs.same_length(predictions=predicted, labels=truth)
    return float((predicted == truth).mean())


def nll(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean negative log-likelihood, -log p(label), in nats.

    Parameters
    ----------
    probabilities : (n, classes), each row sums to one.
    labels : true classes (n,), integers in 0..classes-1.

    Returns
    -------
    A number in [0, inf]; inf where a label was given probability zero. A softmax computed in float32 rounds to zero
    at a gap of about 104 between two logits, in float64 at about 745.
    """
    p, y = _predictions(probabilities, labels)
    with np.errstate(divide="ignore"):
        return float(-np.log(p[np.arange(len(y)), y]).mean()) + 0.0  # + 0.0 turns -0.0 into 0.0


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance of the probabilities to the one-hot label, summed over all classes.

    Parameters
    ----------
    probabilities, labels : as in `nll`.

    Returns
    -------
    A number in [0, 2]; for two classes it is twice the squared error of the probability of one of them.

    References
    ----------
    Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    p, y = _predictions(probabilities, labels)
    p[np.arange(len(y)), y] -= 1.0
    return float((p**2).sum(axis=1).mean())


@dataclass(frozen=True)
class ReliabilityCurve:
    """Accuracy against confidence, bin by bin.

    edges : bins + 1 bounds; bin m is (edges[m], edges[m + 1]], the first one includes its lower edge.
    confidence : mean confidence in each bin, NaN where it is empty.
    accuracy : share of right predictions in each bin, NaN where it is empty.
    count : predictions in each bin.
    """

    edges: Float[np.ndarray, " edges"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence| averaged over the predictions (eq. 5.3)."""
        filled = self.count > 0
        gap = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.average(gap, weights=self.count[filled]))


def _equal_width(confidence: Float[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " edges"]:
    # Not linspace, which multiplies by a rounded step: its third tenth is 0.30000000000000004.
    return np.arange(bins + 1) / bins


def _equal_mass(confidence: Float[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " edges"]:
    low, high = confidence.min(), confidence.max()
    inner = inputs.quantiles(confidence, bins)
    return np.array([low, *inner[inner < high], high])


BINNINGS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"width": _equal_width, "mass": _equal_mass}


def reliability_curve(
    probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 10, binning: str = "width"
) -> ReliabilityCurve:
    """Group predictions by confidence and compare it with how often they are right.

    Parameters
    ----------
    probabilities : (n, classes) of a softmax, judged by their largest entry; or confidences (n,) in [0, 1], such as
        the output of a sigmoid.
    labels : true classes (n,) of a softmax; or, for confidences, whether each was right (bool or 0 and 1).
    bins : number of bins M >= 1. The dissertation's experiments use 10.
    binning : "width" cuts [0, 1] into ((m - 1) / M, m / M] (eq. 5.3); "mass" cuts so that bins hold equally many
        predictions (adaptive binning), except that equal confidences stay together.

    References
    ----------
    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015; Nguyen and O'Connor,
    "Posterior calibration and exploratory analysis for natural language processing models", 2015 (adaptive bins).
    """
    wanted = checks.integer("bins", bins, at_least=1)
    cut = checks.choice("binning", binning, BINNINGS)
    confidence, right = _confidence(probabilities, labels)
    edges = cut(confidence, wanted)
    where = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(where, minlength=len(edges) - 1)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(where, confidence, len(count)) / count
        mean_right = np.bincount(where, right, len(count)) / count
    return ReliabilityCurve(edges, mean_confidence, mean_right, count)


def ece(probabilities: ArrayLike, labels: ArrayLike, *, bins: int = 10, binning: str = "width") -> float:
    """Expected calibration error (eq. 5.3): the `error` of `reliability_curve`, which takes the same arguments."""
    return reliability_curve(probabilities, labels, bins=bins, binning=binning).error


def _predictions(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p = inputs.probabilities("probabilities", probabilities)
    y = inputs.class_labels("labels", labels, p.shape[1])
    inputs.same_length(probabilities=p, labels=y)
    return p, y


def _confidence(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    if inputs.numbers("probabilities", probabilities, "n", "n classes").ndim == 1:
        confidence, right = inputs.confidences("probabilities", probabilities), inputs.binary("labels", labels)
        inputs.same_length(probabilities=confidence, labels=right)
        return confidence, right
    p, y = _predictions(probabilities, labels)
    return p.max(axis=1), p.argmax(axis=1) == y
