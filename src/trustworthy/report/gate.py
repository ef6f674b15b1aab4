"""Turning an audit into a yes, a no or a cannot tell: `--fail-under finding=value`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.report import findings
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding
from trustworthy.report.findings import OF_FINDING

GATED = tuple(name for name, kind in OF_FINDING.items() if kind.findings[name].higher_is_better is not None)
"""Findings that have a better and a worse."""
MOST_ROWS = 10**9
"""Rows beyond which no number is named that would tell a value from its limit."""
Status = Literal["holds", "fails", "cannot tell"]


@dataclass(frozen=True)
class Limit:
    """The least (or, where lower is better, the largest) value that a finding may have in every model.

    earlier : the audit whose value it is, than which the finding got worse; "" for a value that somebody set.
    """

    finding: str
    value: float
    earlier: str = ""

    @property
    def bound(self) -> str:
        """What the finding is held to."""
        return f"not worse than {self.value:.4g} of {self.earlier}" if self.earlier else f"{self.value:g}"


@dataclass(frozen=True)
class Outcome:
    """What a limit says of one model.

    finding : what was measured, None where it was not.
    status : "cannot tell" where the interval of the value has the limit inside.
    phrase : one clause for a person; of what cannot be told, with the rows that would tell.
    """

    limit: Limit
    model: str
    finding: Finding | None
    status: Status
    phrase: str


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
        if OF_FINDING[name].findings[name].share and not 0.0 <= number <= 1.0:
            raise InvalidInput(f"the limit of {name} must be a share from 0 to 1, such as {name}=0.9, got {text!r}.")
        limits.append(Limit(name, number))
    return limits


def judge(record: AuditRecord, limits: Iterable[Limit]) -> list[Outcome]:
    """What each limit says of each model, in the order of the limits.

    A limit holds where the value and the worse end of its interval hold, and fails where the value and the better end
    fall short; between the two the audit cannot tell. A value without an interval decides alone. What was not measured
    fails: a gate that nothing went through has not been passed.
    """
    return [outcome for limit in limits for outcome in _outcomes(record, limit)]


def _outcomes(record: AuditRecord, limit: Limit) -> list[Outcome]:
    names = record.names
    found = {finding.model: finding for finding in record.findings if finding.name == limit.finding}
    outcomes = []
    for name in names if found.keys() <= set(names) else found:
        whose = f"{limit.finding} of {name}" if len(names) > 1 else limit.finding
        finding = found.get(name)
        if finding is None:
            status: Status = "fails"
            phrase = f"{whose} was not measured: {why_missing(record, name, limit.finding)}"
        else:
            status = _status(finding, limit.value)
            phrase = f"{whose} {_told(record, finding, limit.value, status)}"
        outcomes.append(Outcome(limit, name, finding, status, phrase))
    return outcomes


def why_missing(record: AuditRecord, model: str, name: str) -> str:
    """Why the finding `name` of a model is not there, as the audit says it."""
    step = OF_FINDING[name].step
    reasons = [o.reason.rstrip(".") for o in record.omissions if o.part == step and o.model in (model, ALL_MODELS)]
    return reasons[0] if reasons else "it does not apply here"


def _status(finding: Finding, limit: float) -> Status:
    bound = _at_least(finding)
    if bound is not None:
        return "holds" if bound >= limit else "cannot tell"
    if finding.value is None or math.isnan(finding.value):
        return "fails"
    sign = 1.0 if finding.higher_is_better else -1.0
    good = [sign * value >= sign * limit for value in (finding.value, *(finding.interval or ()))]
    return "holds" if all(good) else "cannot tell" if any(good) else "fails"


def _at_least(finding: Finding) -> float | None:
    """What a value is only known to exceed, as a distance is that no attack reached; None where it is known."""
    return finding.conditions.get("at_least") if finding.value is None and finding.higher_is_better else None


def _told(record: AuditRecord, finding: Finding, limit: float, status: Status) -> str:
    """What is said of a value beside its limit, after its name."""
    if (bound := _at_least(finding)) is not None:
        least = f"is at least {bound:.4g}"
        return least if status == "holds" else f"{least}, the largest tried, which does not reach {limit:g}"
    value = "undefined" if finding.value is None else f"{finding.value:.4g}"
    if finding.interval is not None:
        value += f" ({finding.interval[0]:.4g} to {finding.interval[1]:.4g})"
    if status == "cannot tell":
        return f"is {value}, too near to {limit:g}: {_remedy(record, finding, limit)}"
    side = {(True, "fails"): "below", (False, "fails"): "above", (True, "holds"): "at least"}
    return f"is {value}, {side.get((bool(finding.higher_is_better), status), 'at most')} {limit:g}"


def _remedy(record: AuditRecord, finding: Finding, limit: float) -> str:
    """How many rows would tell, and where their number is set."""
    needed = _rows_that_tell(finding, limit)
    if needed is None:
        return "no number of rows would tell"
    told, available, key = f"about {needed:,} rows would tell", record.data.get("available"), _key(record, finding)
    if key:
        return f"{told} ({key} in the plan)"
    if available is None:
        return told
    return f"{told} ({f'--limit 0 takes all {available:,}' if needed <= available else f'there are {available:,}'})"


def _key(record: AuditRecord, finding: Finding) -> str:
    """The key of the plan that keeps the finding from resting on all the audited rows, "" where none does."""
    kind, n = OF_FINDING[finding.name], finding.conditions.get("n", 0)
    if kind.attacks and findings.tried(finding) is not None:
        return "attacks.decision_rows"
    section = kind.section
    return f"{section}.rows" if 0 < record.plan.get(section, {}).get("rows", 0) <= n else ""


def _rows_that_tell(finding: Finding, limit: float) -> int | None:
    """Rows with which the interval would leave out the limit, were the value the same; to two digits, upwards.

    Of a share with an exact interval (Clopper and Pearson) the interval itself is asked; any other interval is taken to
    shrink with the square root of the rows.
    """
    from trustworthy.metrics import proportion_interval

    value: Any = finding.value
    low, high = finding.interval or (value, value)
    tried = findings.tried(finding)
    n = int(finding.conditions.get("n", 0) if tried is None else tried)
    if value == limit or not n:
        return None
    needed = n * ((high if limit > value else low) - value) ** 2 / (limit - value) ** 2
    if needed > MOST_ROWS:
        return None
    hits = round(value * n)
    if value <= 1.0 and math.isclose(hits / n, value) and proportion_interval(hits, n, finding.level) == (low, high):

        def tells(rows: int) -> bool:
            nearer = math.floor(value * rows) if value > limit else math.ceil(value * rows)
            low, high = proportion_interval(nearer, rows, finding.level)
            return not low <= limit <= high

        below, above = n, 2 * n
        while not tells(above):
            below, above = above, 2 * above
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (below, middle) if tells(middle) else (middle, above)
        needed = above
    unit = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return math.ceil(needed / unit) * unit
