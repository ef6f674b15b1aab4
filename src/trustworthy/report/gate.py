"""Turning an audit into a yes or no: `--fail-under finding=value`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.report.finding import AuditRecord, Finding

GATED = (
    "accuracy",
    "robustness.linf.accuracy",
    "robustness.l2.accuracy",
    "robustness.l2.distortion",
    "robustness.corruptions",
    "robustness.transfer",
    "uncertainty.ece",
    "uncertainty.nll",
    "uncertainty.brier",
    "uncertainty.aurc",
    "evaluation.diagnosis",
)
"""Findings that have a better and a worse."""


@dataclass(frozen=True)
class Limit:
    """The least (or, where lower is better, the largest) value that a finding may have in every model."""

    finding: str
    value: float


def parse_limits(texts: Iterable[str]) -> list[Limit]:
    """Read `finding=value`; several may stand in one text, separated by commas or spaces.

    Raises
    ------
    InvalidInput, UnknownName : it is not of that form, or no audit measures such a finding; nothing is measured before.
    """
    limits = []
    for text in " ".join(texts).replace(",", " ").split():
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not equals or math.isnan(number):
            raise InvalidInput(f"a limit must be finding=value, such as accuracy=0.9, got {text!r}.")
        if name not in GATED:
            raise UnknownName.of("finding", name, GATED)
        limits.append(Limit(name, number))
    return limits


def shortfalls(record: AuditRecord, limits: Iterable[Limit]) -> list[str]:
    """What falls short, one phrase each; nothing if the gate is open. What was not measured falls short."""
    several = len(record.models) > 1
    short = []
    for limit in limits:
        found = [finding for finding in record.findings if finding.name == limit.finding]
        if not found:
            short.append(f"{limit.finding} was not measured ({_why(record, limit.finding)})")
        short += [_phrase(finding, limit, several) for finding in found if not holds(finding, limit.value)]
    return short


def holds(finding: Finding, limit: float) -> bool:
    """Whether a finding is at least as good as `limit`, in its own direction."""
    if finding.value is None or math.isnan(finding.value):
        return False
    return finding.value >= limit if finding.higher_is_better else finding.value <= limit


def _phrase(finding: Finding, limit: Limit, several: bool) -> str:
    whose = f" of {finding.model}" if several else ""
    value = "not a number" if finding.value is None else f"{finding.value:.4g}"
    return f"{finding.name}{whose} is {value}, {'below' if finding.higher_is_better else 'above'} {limit.value:g}"


def _why(record: AuditRecord, name: str) -> str:
    related = [omission.reason for omission in record.omissions if name.startswith(omission.part)]
    return related[0].rstrip(".") if related else "it does not apply here"
