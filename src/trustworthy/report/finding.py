"""What an audit saves and a report renders from: findings with their curves, and the arrays of their pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, SupportsFloat

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from trustworthy.core.record import Frozen, Record

Property = Literal["robustness", "uncertainty", "interpretation", "evaluation"]
Verdict = Literal["good", "attention", "worry", "information"]
ALL_MODELS = "all models"
"""What a finding or an omission that compares models, or judges the data, says it is about."""


class Finding(Record):
    """A measured claim about one model, with what the report shows of it.

    model : name of the audited model.
    property : which question it answers; "evaluation" is about whether the audit itself can be believed.
    kind : how the report draws it; each kind fixes the keys of `series` and `arrays`, see docs/findings.md.
    headline : belongs in the summary.
    verdict, statement : what to think of the value, in one word and in one plain sentence.
    higher_is_better : direction in which a gate such as `--fail-under` reads the value; None where there is none.
    series : the numbers of a curve or table, JSON only.
    arrays : names of the arrays of this finding in `arrays.npz`, by role.
    """

    model: str
    property: Property
    kind: str
    title: str
    headline: bool = False
    verdict: Verdict = "information"
    statement: str = ""
    higher_is_better: bool | None = None
    series: dict[str, Any] = Field(default_factory=dict)
    arrays: dict[str, str] = Field(default_factory=dict)


class Omission(Frozen):
    """A part of the plan that was left out, and why; `failed` where the model raised, or gave NaN, in its midst."""

    model: str
    part: str
    reason: str
    failed: bool = False


class AuditRecord(Frozen):
    """Content of `findings.json`."""

    schema_version: Literal[1] = 1
    title: str
    created: str
    command: str = ""
    models: list[dict[str, Any]]
    data: dict[str, Any]
    plan: dict[str, Any]
    seed: int
    wall_time: float
    findings: list[Finding]
    omissions: list[Omission] = Field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the audited models, in the order of the audit."""
        return [str(model.get("name", f"model {place}")) for place, model in enumerate(self.models, 1)]


def _null_is_nan(value: object) -> object:
    return math.nan if value is None else value


def null_where_nan(values: Iterable[SupportsFloat]) -> list[float | None]:
    """Numbers as a series saves them: null where a value is NaN or infinite."""
    return [float(value) if math.isfinite(float(value)) else None for value in values]


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
