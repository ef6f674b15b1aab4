"""Turning an audit into a yes or no: `--fail-under finding=value`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding
from trustworthy.report.findings import OF_FINDING

GATED = tuple(name for name, kind in OF_FINDING.items() if kind.findings[name].higher_is_better is not None)
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
    """What falls short, one phrase for each model and limit; nothing if the gate is open.

    What was not measured falls short: a gate that nothing went through has not been passed.
    """
    return [phrase for limit in limits for phrase in _shortfalls(record, limit)]


def _shortfalls(record: AuditRecord, limit: Limit) -> list[str]:
    names = [str(model["name"]) for model in record.models]
    found = {finding.model: finding for finding in record.findings if finding.name == limit.finding}
    short = []
    for name in names if found.keys() <= set(names) else found:
        whose = f" of {name}" if len(names) > 1 else ""
        if name not in found:
            short.append(f"{limit.finding}{whose} was not measured: {_why(record, name, limit.finding)}")
        elif not holds(finding := found[name], limit.value):
            value = "undefined" if finding.value is None else f"{finding.value:.4g}"
            side = "below" if finding.higher_is_better else "above"
            short.append(f"{limit.finding}{whose} is {value}, {side} {limit.value:g}")
    return short


def _why(record: AuditRecord, model: str, name: str) -> str:
    step = OF_FINDING[name].step
    reasons = [o.reason.rstrip(".") for o in record.omissions if o.part == step and o.model in (model, ALL_MODELS)]
    return reasons[0] if reasons else "it does not apply here"


def holds(finding: Finding, limit: float) -> bool:
    """Whether a finding is at least as good as `limit`, in its own direction.

    A value known only to exceed a bound (`at_least` among its conditions) is held to that bound.
    """
    if finding.value is None and finding.higher_is_better and "at_least" in finding.conditions:
        return finding.conditions["at_least"] >= limit
    if finding.value is None or math.isnan(finding.value):
        return False
    return finding.value >= limit if finding.higher_is_better else finding.value <= limit
