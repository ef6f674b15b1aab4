"""Pictures of the trust report: SVG figures whose colours follow the page, and PNG pictures of inputs."""

from trustworthy.report.plots.curves import attack_dashes, attack_names, risk_coverage, robustness_curve
from trustworthy.report.plots.histograms import distortion, reliability
from trustworthy.report.plots.pictures import difference_png, picture_png, saliency_png
from trustworthy.report.plots.poisoning import poisoning_curve
from trustworthy.report.plots.theme import Style, standalone

__all__ = [
    "Style",
    "attack_dashes",
    "attack_names",
    "difference_png",
    "distortion",
    "picture_png",
    "poisoning_curve",
    "reliability",
    "risk_coverage",
    "robustness_curve",
    "saliency_png",
    "standalone",
]
