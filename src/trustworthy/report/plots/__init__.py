"""Pictures of the trust report: SVG figures whose colours follow the page, and PNG pictures of inputs."""

from trustworthy.report.plots.benchmark import by_test, roc, sparsification
from trustworthy.report.plots.curves import (
    ATTACKED,
    BOUND,
    PROVED,
    UNATTACKED,
    attack_names,
    certified_curve,
    poisoning_curve,
    randomness,
    risk_coverage,
    robustness_curve,
)
from trustworthy.report.plots.explanation import scores_png, subset_curves
from trustworthy.report.plots.histograms import distortion, reliability, tempered
from trustworthy.report.plots.pictures import difference_png, field_png, picture_png, saliency_png, uncertainty_png
from trustworthy.report.plots.theme import Style, dashes_of, standalone

__all__ = [
    "ATTACKED", "BOUND", "PROVED", "UNATTACKED", "Style", "attack_names", "by_test", "certified_curve", "dashes_of",
    "difference_png", "distortion", "field_png", "picture_png", "poisoning_curve", "randomness", "reliability",
    "risk_coverage", "robustness_curve", "roc", "saliency_png", "scores_png", "sparsification", "standalone",
    "subset_curves", "tempered", "uncertainty_png",
]  # fmt: skip
