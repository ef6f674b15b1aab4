"""What an audit saves and a report renders from: findings with their curves, and the arrays of their pictures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trustworthy.core.record import Record

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


class Omission(BaseModel):
    """A part of the plan that was left out, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    part: str
    reason: str


class AuditRecord(BaseModel):
    """Content of `findings.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
