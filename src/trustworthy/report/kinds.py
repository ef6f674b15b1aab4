"""The kinds of finding that the report draws: keys of `series` and roles of `arrays` of each (docs/findings.md)."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _null_is_nan(value: object) -> object:
    return math.nan if value is None else value


Number = Annotated[float, BeforeValidator(_null_is_nan)]
"""A number of a series; JSON has no NaN, so that a value which could not be measured is saved as null."""


class Series(BaseModel):
    """Numbers of one finding; keys that the report does not draw are allowed and ignored.

    roles : arrays that the kind cannot be drawn without.
    aligned : keys whose lists have one entry per point; those left empty are not looked at.
    binned : keys whose lists have one entry per interval between the `edges`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    roles: ClassVar[frozenset[str]] = frozenset()
    aligned: ClassVar[tuple[str, ...]] = ()
    binned: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _lengths(self) -> Series:
        values = dict(self)
        expected = {key: len(values[self.aligned[0]]) for key in self.aligned}
        expected |= {key: len(values["edges"]) - 1 for key in self.binned}
        for key, length in expected.items():
            value, required = values[key], type(self).model_fields[key].is_required()
            for name, item in value.items() if isinstance(value, dict) else [(key, value)]:
                if len(item) != length and (item or required):
                    raise ValueError(f"{name} must have {length} entries, has {len(item)}")
        return self


class ClassAccuracy(BaseModel):
    """Accuracy on the examples of one class."""

    name: str | int = Field(validation_alias=AliasChoices("name", "class"))
    accuracy: Number
    n: int


class Accuracy(Series):
    """Share of examples classified correctly, overall and by class."""

    n: int
    per_class: list[ClassAccuracy] = Field(default_factory=list)


class RobustnessCurve(Series):
    """Accuracy against the radius: worst case over the attacks with its bootstrap band, and each attack alone."""

    aligned: ClassVar = ("eps", "worst", "low", "high", "attacks")

    eps: list[float] = Field(min_length=1)
    worst: list[Number]
    low: list[Number] = Field(default_factory=list)
    high: list[Number] = Field(default_factory=list)
    attacks: dict[str, list[Number]] = Field(default_factory=dict)
    headline_eps: float | None = None


class Distortion(Series):
    """Histogram of the smallest perturbation found per example; `unbroken` examples have none."""

    binned: ClassVar = ("counts",)

    edges: list[float] = Field(min_length=2)
    counts: list[int]
    unbroken: int = 0
    quartiles: list[Number] = Field(default_factory=list)


class AdversarialExamples(Series):
    """Examples before and after an attack; images as (k, c, h, w), tables as (k, d) with `features` naming columns."""

    aligned: ClassVar = ("label", "prediction", "adversarial_prediction", "distance")
    roles: ClassVar[frozenset[str]] = frozenset({"original", "adversarial"})

    label: list[str | int]
    prediction: list[str | int]
    adversarial_prediction: list[str | int]
    distance: list[Number] = Field(default_factory=list)
    eps: float | None = None
    amplification: float = 1.0
    features: list[str] = Field(default_factory=list)


class Corruptions(Series):
    """Accuracy under each corruption (row) at each severity (column)."""

    aligned: ClassVar = ("names", "groups", "accuracy")

    clean: Number
    names: list[str]
    groups: list[str] = Field(default_factory=list)
    severities: list[int] = Field(default_factory=list)
    accuracy: list[list[Number]]


class Check(BaseModel):
    """One question that the audit asks about itself; `passed` is None where it does not apply."""

    name: str
    passed: bool | None
    value: float | bool | str | None = None
    explanation: str = ""


class Diagnosis(Series):
    """Checks of whether the robustness numbers can be believed."""

    checks: list[Check]


class Transfer(Series):
    """rho[source][target] of eq. 2.26; `accuracy` is each model's clean accuracy."""

    aligned: ClassVar = ("models", "affinity", "accuracy")

    models: list[str]
    affinity: list[list[Number]]
    accuracy: list[Number] = Field(default_factory=list)


class Calibration(Series):
    """Reliability diagram: mean confidence, accuracy and number of predictions of each confidence bin."""

    binned: ClassVar = ("confidence", "accuracy", "count")

    edges: list[float] = Field(min_length=2)
    confidence: list[Number]
    accuracy: list[Number]
    count: list[int]
    adaptive_ece: float | None = None
    mean_confidence: float | None = None


class RiskCoverage(Series):
    """Error rate of what the model keeps, against the share that it keeps; below `threshold` a human decides."""

    aligned: ClassVar = ("coverage", "risk")

    coverage: list[Number]
    risk: list[Number]
    threshold: float | None = None
    target_risk: float | None = None
    coverage_at_threshold: float | None = None
    risk_at_threshold: float | None = None
    rule: str = ""


class Saliency(Series):
    """What the predictions depend on: maps over images, or one importance per feature of a table."""

    aligned: ClassVar = ("features", "importance")

    label: list[str | int] = Field(default_factory=list)
    prediction: list[str | int] = Field(default_factory=list)
    method: str = ""
    features: list[str] = Field(default_factory=list)
    importance: list[Number] = Field(default_factory=list)


class Poisoning(Series):
    """Error of a learner against the budget of an attack on its training labels.

    error : what the attack caused; `bound` what none can exceed; `baselines` what other attacks caused.
    changed : labels that it changed.
    clean, guess : without an attack, and of a learner that looks at no row.
    flips : the budget counts flipped labels, and errors are shares of wrong predictions; otherwise it is the l2 norm of
        a change of `labelled` real labels in [0, 1], and errors are RMSE.
    """

    aligned: ClassVar = ("budgets", "error", "bound", "baselines", "changed")

    budgets: list[float] = Field(min_length=1)
    error: list[Number]
    bound: list[Number] = Field(default_factory=list)
    baselines: dict[str, list[Number]] = Field(default_factory=dict)
    changed: list[float] = Field(default_factory=list)
    clean: Number
    guess: Number = math.nan
    labelled: int
    flips: bool = True


KINDS: dict[str, type[Series]] = {
    "accuracy": Accuracy,
    "robustness_curve": RobustnessCurve,
    "distortion": Distortion,
    "adversarial_pictures": AdversarialExamples,
    "corruptions": Corruptions,
    "diagnosis": Diagnosis,
    "transfer": Transfer,
    "poisoning": Poisoning,
    "calibration": Calibration,
    "score": Series,
    "risk_coverage": RiskCoverage,
    "saliency": Saliency,
}
