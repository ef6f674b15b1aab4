"""From predictions to the numbers of section 5.3 and 5.5: arrays in, `Scores` out, nothing is trained or read here."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch.nn.functional import cross_entropy

from trustworthy import metrics
from trustworthy.core import checks
from trustworthy.core.predictive import Predictive
from trustworthy.report.benchmark.meaning import MAX_FPR, SHARES
from trustworthy.report.benchmark.record import Curve, Scores

Images = Float[np.ndarray, "n channels height width"]
Targets = Num[np.ndarray, "n channels height width"]
Maps = Float[np.ndarray, "n height width"]
FPR = np.concatenate([np.linspace(0.0, MAX_FPR, 81), np.linspace(MAX_FPR, 1.0, 41)[1:]])
"""False-positive rates at which a ROC curve is kept: finer where Table 5.1 looks."""
Values = dict[str, float | None]
POINTS = 50
"""Of a sparsification curve."""
AVERAGES = {"probabilities": False, "logits": True}
"""What is averaged over the members of a classifier, and whether that are logits."""


def detection(uncertainty: Maps, foreign: Bool[np.ndarray, "n height width"]) -> Scores:
    """Does the uncertainty of a pixel tell foreign ones from others? The pixels of all images are ranked together.

    Parameters
    ----------
    uncertainty : of each pixel, higher means less certain. foreign : the pixels to be found, some but not all.
    """
    from sklearn.metrics import roc_curve

    ranks, truth = np.unique(uncertainty, return_inverse=True)[1].reshape(-1), foreign.reshape(-1)
    values: Values = {
        "partial_auroc": metrics.partial_auroc(ranks, truth, max_fpr=MAX_FPR),
        "partial_auroc_normalised": metrics.partial_auroc(ranks, truth, max_fpr=MAX_FPR, normalised=True),
        "auroc": metrics.auroc(ranks, truth),
    }
    for what, at_k in (("precision", metrics.precision_at_k), ("recall", metrics.recall_at_k)):
        values |= {f"{what}@{share:.0%}": at_k(ranks, truth, max(1, round(share * len(truth)))) for share in SHARES}
    fpr, tpr, _ = roc_curve(truth, ranks)
    return Scores(values=values, curves={"roc": Curve(x=FPR.tolist(), y=np.interp(FPR, fpr, tpr).tolist())})


def correlation(prediction: Images, target: Targets) -> Scores:
    """Pearson correlation of each image over its pixels and channels, as a mean over images with its deviation.

    A constant prediction tells nothing of the target: its correlation is 0. A constant target is refused.
    """
    flat = prediction.min(axis=(1, 2, 3)) == prediction.max(axis=(1, 2, 3))
    each = np.zeros(len(target))
    if not flat.all():
        each[~flat] = metrics.pearson(prediction[~flat], target[~flat])
    return Scores(values={"pearson": float(each.mean()), "pearson_deviation": float(each.std())})


def errors(prediction: Images, std: Images, target: Targets) -> Scores:
    """Is the uncertainty high where the prediction is wrong? Pixels and channels of all images are taken together.

    std : of the members. Where it is the same everywhere it tells nothing, and has no scores.
    """
    error, spread = np.abs(prediction - target).reshape(-1), std.reshape(-1)
    values: Values = {"mae": float(error.mean(dtype=np.float64)), "error_uncertainty": None, "sparsification": None}
    if spread.min() == spread.max() or error.min() == error.max():
        return Scores(values=values)
    curve = metrics.sparsification_curve(spread, error, points=POINTS)
    values["error_uncertainty"] = metrics.error_uncertainty_correlation(spread, error)
    values["sparsification"] = curve.ause / float(curve.error[0])
    drawn = {"sparsification": curve.error, "oracle": curve.oracle}
    x = curve.removed.tolist()
    return Scores(values=values, curves={name: Curve(x=x, y=y.tolist()) for name, y in drawn.items()})


def coverage(lower: Images, upper: Images, target: Targets) -> Scores:
    """Share of the pixels of an image between two maps, as a mean over images, and the mean distance of the maps."""
    inside = metrics.interval_coverage(lower, upper, target)
    return Scores(values={"coverage": float(np.mean(inside)), "width": float((upper - lower).mean())})


def classes(
    members: Float[np.ndarray, "members n classes"], labels: Int[np.ndarray, " n"], average: str = "probabilities"
) -> Scores:
    """Accuracy, proper scores and calibration of the averaged members, and whether confidence tells their mistakes.

    Parameters
    ----------
    members : logits. average : what is averaged over the members, "probabilities" or "logits" as released.
    """
    pooled = _pooled(members, average)
    probabilities = pooled.probabilities.numpy()
    wrong = probabilities.argmax(axis=1) != labels
    told = wrong.any() and not wrong.all()
    return Scores(values={
        "accuracy": metrics.accuracy(probabilities, labels),
        "nll": float(cross_entropy(pooled.logits, torch.as_tensor(labels, dtype=torch.long))),
        "ece": metrics.ece(probabilities, labels),
        "brier": metrics.brier(probabilities, labels),
        "auroc_wrong": metrics.auroc(1.0 - probabilities.max(axis=1), wrong) if told else None,
    })  # fmt: skip


def foreign_rows(
    own: Float[np.ndarray, "members n classes"],
    foreign: Float[np.ndarray, "members m classes"],
    average: str = "probabilities",
) -> Scores:
    """Does the entropy of the prediction, of logits, tell foreign rows from the model's own?"""
    scores = np.concatenate([_pooled(members, average).entropy.numpy() for members in (foreign, own)])
    return Scores(values={"auroc_foreign": metrics.auroc(scores, np.arange(len(scores)) < foreign.shape[1])})


def joined(*parts: Scores) -> Scores:
    """Scores of one test in one."""
    values = {name: value for part in parts for name, value in part.values.items()}
    return Scores(values=values, curves={name: curve for part in parts for name, curve in part.curves.items()})


def _pooled(members: Float[np.ndarray, "members n classes"], average: str) -> Predictive:
    """The mean of the members' probabilities, or of their logits."""
    logits = torch.from_numpy(members).double()
    return Predictive(logits.mean(0)[None] if checks.choice("average", average, AVERAGES) else logits)
