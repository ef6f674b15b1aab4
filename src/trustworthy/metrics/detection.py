"""How well a score ranks the examples to be found, such as wrong pixels by their uncertainty, before the others.

Ties never depend on the order of the examples: an equal score counts as half a win in the areas, and as its expected
share under random tie breaking in precision and recall at k.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import inputs


def auroc(scores: ArrayLike, positives: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, a tie counting half.

    Parameters
    ----------
    scores : (n,) higher means more likely positive; infinities are allowed, NaN is not.
    positives : (n,) bool or 0 and 1, with at least one of each.

    Returns
    -------
    A number in [0, 1], 0.5 by chance.
    """
    ranks, truth = _ranked(scores, positives)
    _both_classes(truth)
    return roc_area(ranks, truth)


def partial_auroc(scores: ArrayLike, positives: ArrayLike, *, max_fpr: float, normalised: bool = False) -> float:
    """Area under the ROC curve up to a false-positive rate, as in Table 5.1 (max_fpr = 0.2).

    Parameters
    ----------
    scores, positives : as in `auroc`.
    max_fpr : false-positive rate in (0, 1] at which the curve is cut, interpolating linearly.
    normalised : False gives the area itself: at most `max_fpr`, `max_fpr`**2 / 2 by chance. True maps it linearly
        so that chance is 0.5 and the best is 1 (McClish).

    References
    ----------
    McClish, "Analyzing a portion of the ROC curve", 1989.
    """
    cut = checks.real("max_fpr", max_fpr, above=0.0, at_most=1.0)
    ranks, truth = _ranked(scores, positives)
    _both_classes(truth)
    flagged = (np.cumsum(np.bincount(ranks, which)[::-1]) for which in (~truth, truth))  # from the highest score down
    fpr, tpr = (np.append(0.0, count / count[-1]) for count in flagged)
    inside = fpr <= cut
    height = np.interp(cut, fpr, tpr)
    area = area_under_curve(np.append(fpr[inside], cut), np.append(tpr[inside], height))
    if not normalised:
        return area
    chance = cut**2 / 2
    return 0.5 * (1.0 + (area - chance) / (cut - chance))


def fpr_at_recall(scores: ArrayLike, positives: ArrayLike, *, recall: float = 0.95) -> float:
    """Share of the negatives that are flagged where at least `recall` of the positives are: FPR@95 (lower is better).

    Everything that scores at least some threshold is flagged, ties with it included; the threshold is the highest that
    finds enough. Of OOD detection the positives are what is foreign, scored by the uncertainty: some of the literature
    takes the familiar ones instead, which gives another number.

    Parameters
    ----------
    scores, positives : as in `auroc`.
    recall : least share of the positives to be found, in (0, 1].

    Returns
    -------
    A number in [0, 1], about `recall` by chance.
    """
    share = checks.real("recall", recall, above=0.0, at_most=1.0)
    ranks, truth = _ranked(scores, positives)
    _both_classes(truth)
    found = np.sort(ranks[truth])[::-1]
    threshold = found[math.ceil(share * len(found) * (1.0 - 1e-12)) - 1]  # 0.95 of 20 is 19, whatever the rounding
    return float((ranks[~truth] >= threshold).mean())


def area_under_curve(x: ArrayLike, y: ArrayLike) -> float:
    """Area between the line through the points (x, y) and the x axis, by the trapezoidal rule.

    Parameters
    ----------
    x : (points,) finite and in ascending order; equal neighbours make a vertical step. At least two points.
    y : (points,) finite.

    Returns
    -------
    The area, in units of x times units of y.
    """
    across, up = inputs.finite("x", x, "points"), inputs.finite("y", y, "points")
    inputs.same_length(x=across, y=up)
    if len(across) < 2:
        raise InvalidInput("x must hold at least two points, got one: a point has no area.")
    if (np.diff(across) < 0).any():
        raise InvalidInput("x must be in ascending order; sort both with order = np.argsort(x).")
    return float(np.trapezoid(up, across))


def aupr(scores: ArrayLike, positives: ArrayLike) -> float:
    """Area under the precision-recall curve as average precision: precision at each recall step, not interpolated.

    Parameters
    ----------
    scores : as in `auroc`.
    positives : (n,) bool or 0 and 1, with at least one positive.

    Returns
    -------
    A number in (0, 1], by chance about the share of positives.
    """
    ranks, truth = _ranked(scores, positives)
    _some_positive(truth)
    return average_precision(ranks, truth)


def roc_area(ranks: Int[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """`auroc` of ranks >= 0, equal where the scores are; nothing is checked, and NaN is undefined. For resampling."""
    positive, every = np.bincount(ranks, truth), np.bincount(ranks)
    negative = every - positive
    pairs = positive.sum() * negative.sum()
    return float(positive @ (np.cumsum(negative) - negative / 2) / pairs) if pairs else np.nan


def average_precision(ranks: Int[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """`aupr` of such ranks, likewise."""
    positive, every = np.bincount(ranks, truth)[::-1], np.bincount(ranks)[::-1]  # from the highest score down
    found, answered = np.cumsum(positive), np.cumsum(every)
    if not found[-1]:
        return np.nan
    return float(positive @ (found / np.maximum(answered, 1)) / found[-1])


def precision_at_k(scores: ArrayLike, positives: ArrayLike, k: int) -> float:
    """Share of positives among the k highest scores, TP@k / k (eq. 5.1).

    Parameters
    ----------
    scores, positives : as in `auroc`; there may be no positive.
    k : number of examples selected, in 1..n.
    """
    ranks, truth = _ranked(scores, positives)
    return _true_positives(ranks, truth, k) / k


def recall_at_k(scores: ArrayLike, positives: ArrayLike, k: int) -> float:
    """Share of the positives that the k highest scores find, TP@k / |S_1| (eq. 5.1).

    Parameters
    ----------
    scores, positives : as in `aupr`.
    k : number of examples selected, in 1..n.
    """
    ranks, truth = _ranked(scores, positives)
    _some_positive(truth)
    return _true_positives(ranks, truth, k) / int(truth.sum())


def _ranked(scores: ArrayLike, positives: ArrayLike) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    # Dense ranks order as the scores do, keep exactly their ties, and can be counted.
    values = inputs.numbers("scores", scores, "n")
    truth = inputs.binary("positives", positives)
    inputs.same_length(scores=values, positives=truth)
    return np.unique(values, return_inverse=True)[1], truth


def _some_positive(truth: Bool[np.ndarray, " n"]) -> None:
    if not truth.any():
        raise InvalidInput(f"positives must hold at least one positive, got none in {len(truth)} examples.")


def _both_classes(truth: Bool[np.ndarray, " n"]) -> None:
    if truth.all() or not truth.any():
        raise InvalidInput(
            f"positives must hold both classes, got {truth.sum()} positives in {len(truth)} examples: "
            "the area is undefined without a positive and a negative to compare."
        )


def _true_positives(ranks: Int[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], k: int) -> float:
    selected = checks.integer("k", k, at_least=1, at_most=len(ranks))
    last = np.partition(ranks, -selected)[-selected]  # the k-th highest
    above, tied = ranks > last, ranks == last
    share = (selected - above.sum()) / tied.sum()
    return float(truth[above].sum() + share * truth[tied].sum())
