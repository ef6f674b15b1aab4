"""Pure functions from arrays to numbers, or to small frozen values such as a curve.

Everything is computed in float64, and importing the package loads NumPy alone: SciPy and scikit-image are imported by
the first metric that needs them, so that the command line starts quickly.
"""

from trustworthy.metrics.bootstrap import bootstrap_interval
from trustworthy.metrics.calibration import ReliabilityCurve, accuracy, brier, ece, nll, reliability_curve
from trustworthy.metrics.detection import (
    area_under_curve,
    aupr,
    auroc,
    fpr_at_recall,
    partial_auroc,
    precision_at_k,
    recall_at_k,
)
from trustworthy.metrics.image import pearson, psnr, ssim
from trustworthy.metrics.proportion import (
    clopper_pearson_lower,
    difference_interval,
    grouped_interval,
    paired_share_interval,
    proportion_interval,
)
from trustworthy.metrics.selective import OperatingPoint, RiskCoverageCurve, risk_coverage_curve
from trustworthy.metrics.spread import (
    SparsificationCurve,
    SpreadCurve,
    error_uncertainty_correlation,
    interval_coverage,
    sparsification_curve,
    spread_curve,
)

__all__ = [
    "OperatingPoint",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "SparsificationCurve",
    "SpreadCurve",
    "accuracy",
    "area_under_curve",
    "aupr",
    "auroc",
    "bootstrap_interval",
    "brier",
    "clopper_pearson_lower",
    "difference_interval",
    "ece",
    "error_uncertainty_correlation",
    "fpr_at_recall",
    "grouped_interval",
    "interval_coverage",
    "nll",
    "paired_share_interval",
    "partial_auroc",
    "pearson",
    "precision_at_k",
    "proportion_interval",
    "psnr",
    "recall_at_k",
    "reliability_curve",
    "risk_coverage_curve",
    "sparsification_curve",
    "spread_curve",
    "ssim",
]
