"""What each score of the benchmark is called, which way is better, and what it means: said in JSON and on the page."""

from __future__ import annotations

from dataclasses import dataclass

MAX_FPR = 0.2
"""False-positive rate up to which the area of Table 5.1 is taken: at most 0.2, and 0.02 by chance."""
RISK = 0.1
"""Share of an image that the conformal maps may miss."""
CLEAN = "clean"
"""Name of the test that is like what was trained on."""
SHARES = (0.01, 0.05, 0.1)
"""Of all pixels: the k of precision and recall at k."""
_TIES = "A tie counts as its mean over random orders."
_PIXELS = f"Positive are foreign pixels, ranked by uncertainty together with those of all images. {_TIES}"


@dataclass(frozen=True)
class Metric:
    """A score.

    says : what it measures; of a ranking which examples are positive, and what ties count.
    higher_is_better : None where neither way is. percent : whether it is written as a percentage.
    """

    title: str
    says: str
    higher_is_better: bool | None = True
    percent: bool = False


def _at(what: str, share: float) -> Metric:
    return Metric(
        f"{what} at {share:.0%}", f"{what.capitalize()}@k (5.1), k = {share:.0%} of all pixels. {_PIXELS}", percent=True
    )


METRICS: dict[str, Metric] = {
    "partial_auroc": Metric(
        "AUC, FPR ≤ 0.2",
        "Area under the ROC curve up to a false-positive rate of 0.2, not normalised, as in Table 5.1: at most 0.2, "
        f"0.02 by chance. {_PIXELS}",
    ),
    "partial_auroc_normalised": Metric(
        "AUC, normalised", f"The same area mapped linearly (McClish): 1 at best, 0.5 by chance. {_PIXELS}"
    ),
    "auroc": Metric("AUROC", f"Area under the whole ROC curve, 0.5 by chance. {_PIXELS}"),
    **{f"{what}@{share:.0%}": _at(what, share) for share in SHARES for what in ("precision", "recall")},
    "pearson": Metric(
        "Pearson",
        "Correlation of prediction and target over the pixels of an image, as a mean over the images; 0 where the "
        "prediction is constant.",
    ),
    "pearson_deviation": Metric("deviation", "Standard deviation of that correlation over the images.", None),
    "mae": Metric("mean error", "Mean absolute error of a pixel, in units of the target.", False),
    "error_uncertainty": Metric(
        "error and uncertainty",
        "Rank correlation (Spearman) of the absolute error and the uncertainty of a pixel, over the pixels of all "
        "images.",
    ),
    "sparsification": Metric(
        "AUSE",
        "Area between the sparsification curve and that of an oracle that knows the errors, both in units of the mean "
        "error: 0 at best.",
        False,
    ),
    "coverage": Metric(
        "covered",
        f"Share of an image's pixels that lie in the conformal map, mean over the images; {1 - RISK:.0%} are promised.",
        None,
        percent=True,
    ),
    "width": Metric("width", "Mean width of the conformal map, in units of the target.", False),
    "accuracy": Metric("accuracy", "Share of the rows whose label is predicted.", percent=True),
    "nll": Metric("NLL", "Mean negative log likelihood of a label, in nats.", False),
    "ece": Metric("ECE", "Expected calibration error (5.3) with 10 bins of equal width.", False),
    "brier": Metric("Brier", "Squared distance of probabilities and label, summed over the classes: 0 to 2.", False),
    "auroc_wrong": Metric(
        "AUROC, mistakes", f"Positive are wrongly predicted rows, ranked by 1 - confidence; 0.5 by chance. {_TIES}"
    ),
    "auroc_foreign": Metric(
        "AUROC, foreign",
        f"Positive are rows of no known class, negative clean ones, ranked by the entropy of the prediction; 0.5 by "
        f"chance. {_TIES}",
    ),
}
"""Every score, by its name in `benchmark.json`."""
