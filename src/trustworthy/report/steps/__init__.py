"""The steps of an audit, in the order in which they run: each turns a `Case` into findings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.corruptions import corruptions
from trustworthy.report.steps.distortion import distortion
from trustworthy.report.steps.evaluation import diagnosis
from trustworthy.report.steps.interpretation import interpretation
from trustworthy.report.steps.performance import accuracy
from trustworthy.report.steps.pictures import pictures
from trustworthy.report.steps.poisoning import drawn_rows, poisoning
from trustworthy.report.steps.robustness import curve
from trustworthy.report.steps.transfer import ALL_MODELS, transfer
from trustworthy.report.steps.uncertainty import calibration, scores, selective

STEPS: dict[str, Callable[[Case], Measured]] = {
    "accuracy": accuracy,
    "uncertainty.calibration": calibration,
    "uncertainty.scores": scores,
    "uncertainty.selective": selective,
    "interpretation": interpretation,
    "robustness.pictures": pictures,
    "robustness.corruptions": corruptions,
    "robustness.linf": partial(curve, norm="linf"),
    "robustness.l2": partial(curve, norm="l2"),
    "robustness.distortion": distortion,
    "evaluation.diagnosis": diagnosis,
}
"""By the name that `skip` of a plan and an omission use; the two below are about all models together and come last."""

TRANSFER = "robustness.transfer"
POISONING = "robustness.poisoning"

__all__ = [
    "ALL_MODELS",
    "POISONING",
    "STEPS",
    "TRANSFER",
    "Case",
    "Measured",
    "NotApplicable",
    "drawn_rows",
    "poisoning",
    "transfer",
]
