"""What one temperature of the logits makes of the model's confidence."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable
from trustworthy.report.markup import dashed
from trustworthy.report.panel import Group, Panel, Shown
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case


class Settings(Section):
    """Bins of confidence: of equal width for the error, of equally many predictions for the figure."""

    bins: Count


class Bin(BaseModel):
    """Mean confidence, accuracy and number of some predictions of nearly the same confidence."""

    confidence: float
    accuracy: float
    n: int


class Tempered(Series):
    """Reliability of the rows that the temperature was not fitted on: as the model states it, and scaled."""

    temperature: Annotated[float, Field(gt=0.0)]
    stated: Annotated[list[Bin], Field(min_length=1)]
    scaled: Annotated[list[Bin], Field(min_length=1)]
    ece_stated: float
    ece_scaled: float
    nll_stated: Number
    nll_scaled: Number


def measure(case: Case, settings: Settings) -> Measured:
    """Fit a temperature on one half of the rows, drawn by the seed, and look at the other half."""
    from trustworthy import metrics

    _ = case.probabilities  # a kind that needs them
    fitted, shown = case.halves("temperature")
    logits, y = case.subject.logits, case.labels
    temperature = _fitted(logits[fitted], y[fitted])
    stated, scaled = (_softmax(logits[shown], by) for by in (1.0, temperature))
    error = partial(metrics.ece, bins=settings.bins)
    before, after = (error(p, y[shown]) for p in (stated, scaled))
    costs = [metrics.nll(p, y[shown]) for p in (stated, scaled)]  # infinite where a probability is 0
    lean = "overconfident" if temperature > 1.0 else "underconfident"
    return Measured([case.finding(
        "uncertainty.ece.tempered", after,
        interval=case.interval("tempered", error, scaled.max(axis=1), case.correct[shown]),
        statement=f"Dividing the logits by {temperature:.3g} (the model is {lean}) takes the calibration error from "
        f"{100 * before:.1f} to {100 * after:.1f} points and changes no prediction; fitted on {len(fitted)} rows, "
        f"seen on {len(shown)} others.",
        series={
            "temperature": temperature, "ece_stated": before, "ece_scaled": after,
            "stated": _bins(stated, y[shown], settings.bins), "scaled": _bins(scaled, y[shown], settings.bins),
            **dict(zip(("nll_stated", "nll_scaled"), null_where_nan(costs), strict=True)),
        },
        conditions={"n": len(shown), "fitted_on": len(fitted), "bins": settings.bins},
    )])  # fmt: skip


def _fitted(logits: Float[np.ndarray, "n classes"], y: np.ndarray) -> float:
    from trustworthy.uncertainty.temperature import fit_temperature

    with warnings.catch_warnings():
        warnings.simplefilter("error", TrustworthyWarning)  # of a temperature without bound
        try:
            return fit_temperature(logits, y)
        except (InvalidInput, TrustworthyWarning) as error:
            raise NotApplicable(f"no temperature can be fitted: {error}") from error


def _softmax(logits: Float[np.ndarray, "n classes"], temperature: float) -> Float[np.ndarray, "n classes"]:
    from scipy.special import softmax

    return softmax(logits / temperature, axis=1)


def _bins(p: Float[np.ndarray, "n classes"], y: np.ndarray, bins: int) -> list[dict[str, Any]]:
    """Of equally many predictions each, so that no point of the figure stands for a few rows."""
    from trustworthy.metrics import reliability_curve

    curve = reliability_curve(p, y, bins=bins, binning="mass")
    return [
        {"confidence": float(confidence), "accuracy": float(accuracy), "n": int(n)}
        for confidence, accuracy, n in zip(curve.confidence, curve.accuracy, curve.count, strict=True)
        if n
    ]


def draw(shown: Shown) -> list[Panel]:
    """Both reliability curves of all models in one figure."""
    lead = (
        "One number, the temperature that divides the logits, can make confidences honest without changing a "
        "prediction. Dashed: what the model states. Bold: after the temperature, on rows that it was not fitted on; "
        "each point is as many rows as every other. Below the diagonal a model is overconfident."
    )
    return shown.with_numbers("Calibration after temperature scaling", lead, _figure, _columns)


def _figure(group: Group) -> Markup:
    return group.figure(plots.tempered(group.id, group.curves), [("as stated", dashed(0))])


def _columns(s: Tempered) -> dict[str, list[str]]:
    return {
        "": ["as stated", "after temperature scaling"],
        "temperature": ["1", formatting.number(s.temperature)],
        "expected calibration error (ECE)": [formatting.score(s.ece_stated), formatting.score(s.ece_scaled)],
        "negative log-likelihood": [formatting.score(s.nll_stated), formatting.score(s.nll_scaled)],
    }


KIND = Kind(
    name="temperature", step="uncertainty.temperature", property="uncertainty", series=Tempered, measure=measure,
    draw=draw,
    findings={"uncertainty.ece.tempered": Judged("Calibration after temperature scaling", higher_is_better=False)},
    settings=in_profiles(Settings, bins=10),
)  # fmt: skip
