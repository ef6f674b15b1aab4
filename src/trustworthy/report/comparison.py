"""Two audits side by side: what got better or worse by more than chance explains, and what cannot be compared.

`trustworthy compare` and `--baseline` call `compare` with two audits as `pairing.load` reads them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Literal

from trustworthy.report import findings, formatting
from trustworthy.report.finding import AuditRecord, Finding
from trustworthy.report.gate import GATED, why_missing
from trustworthy.report.pairing import Kept, interval_of_change

OF_THE_ROWS = {"n", "right", "attacked", "data", "macro_f1", "commonest_class_share", "no_interval", "at_least"}
"""Conditions that say what the rows were or how they turned out; all others say how a value was measured."""
Status = Literal["better", "worse", "same", "cannot tell"]


@dataclass(frozen=True)
class Change:
    """A finding in two audits.

    label : its name, and of which model where there are several.
    difference : value `after` - value `before`. interval : of it, None where one of the two has none.
    unpaired : why it does not come from pairs of rows; "" where it does.
    """

    label: str
    before: Finding
    after: Finding
    difference: float
    interval: tuple[float, float] | None
    unpaired: str

    @property
    def status(self) -> Status:
        """Whether the value got better or worse by more than the interval of the difference."""
        if self.interval is None:
            return "cannot tell" if self.difference else "same"
        sign = 1.0 if self.after.higher_is_better else -1.0
        low, high = sorted(sign * end for end in self.interval)
        return "worse" if high < 0.0 else "better" if low > 0.0 else "same"

    @property
    def written(self) -> str:
        """The difference with its interval: -3.1 points (-5.0 to -1.2)."""
        points = findings.is_percentage(self.after)
        scale, form, unit = (100.0, "+.1f", " points") if points else (1.0, "+.3g", f" {self.after.unit}".rstrip())
        difference, *ends = (f"{scale * number + 0.0:{form}}" for number in (self.difference, *(self.interval or ())))
        return f"{difference}{unit} ({' to '.join(ends) or 'no interval'})"

    @property
    def phrase(self) -> str:
        """One clause for a person: what went from where to where, and why it is not paired, if it is not."""
        values = f"from {findings.value(self.before)} to {findings.value(self.after)}"
        return f"{self.label} went {values}: {self.written}" + (f", not paired: {self.unpaired}" * bool(self.unpaired))


@dataclass(frozen=True)
class Comparison:
    """What two audits say of the same findings.

    left_out : what is not compared, and why. differs : what differs between the audits themselves.
    """

    changes: list[Change]
    left_out: list[str]
    differs: list[str]

    @property
    def unpaired(self) -> list[str]:
        """Which differences do not come from pairs of rows, by the reason."""
        reasons = dict.fromkeys(change.unpaired for change in self.changes if change.unpaired)
        return [f"{', '.join(c.label for c in self.changes if c.unpaired == why)}: {why}" for why in reasons]


def compare(before: Kept, after: Kept) -> Comparison:
    """Every finding that has a better and a worse, of models of one name; one model each are compared whatever it is.

    The interval of a difference is that of `interval_of_change`; what was measured otherwise is not compared. Cost:
    below a second for 300 rows, about ten for 10,000, most of them to resample calibration and risk.
    """
    records = before.record, after.record
    one = len(before.record.models) == len(after.record.models) == 1
    old, new = ({(f.name, "" if one else f.model): f for f in record.findings} for record in records)
    changes, left_out = [], []
    for model in dict.fromkeys(model for _, model in (*old, *new)):
        if not one and (model in before.record.names) != (model in after.record.names):
            where = "earlier" if model in before.record.names else "later"
            left_out.append(f"{model}: in the {where} audit alone; NAME=MODEL names a model as the other audit does")
            continue
        for name in GATED:
            pair, label = (old.get((name, model)), new.get((name, model))), f"{name} of {model}" if model else name
            if pair == (None, None):
                continue
            if why := _other_data(*records) or _incomparable(before, after, name, pair):
                left_out.append(f"{label}: {why}")
            else:
                first, second = (finding for finding in pair if finding is not None)
                interval, unpaired = interval_of_change(before, after, first, second)
                difference = (second.value or 0.0) - (first.value or 0.0)
                changes.append(Change(label, first, second, difference, interval, unpaired))
    return Comparison(changes, left_out, _differences(*records))


def _other_data(before: AuditRecord, after: AuditRecord) -> str:
    """Why no finding can be compared, "" where the rows are the same or come from the same source."""
    if before.data.get("fingerprint") == after.data.get("fingerprint"):
        return ""
    keys = [key for key in ("name", "shape", "units") if before.data.get(key) != after.data.get(key)]
    return "; ".join(_beside(f"{key} of the data", before.data.get(key), after.data.get(key)) for key in keys)


def _incomparable(before: Kept, after: Kept, name: str, pair: tuple[Finding | None, Finding | None]) -> str:
    """Why two findings of a name cannot be compared: one is missing or undefined, or they were measured otherwise."""
    for kept, finding, which in zip((before, after), pair, ("earlier", "later"), strict=True):
        if finding is None:
            other = next(each for each in pair if each is not None)
            model = other.model if len(kept.record.models) > 1 else kept.record.names[0]
            return f"not measured in the {which} audit ({why_missing(kept.record, model, name)})"
        if finding.value is None:
            least = finding.conditions.get("at_least")
            return f"{'undefined' if least is None else f'only known to exceed {least:.3g}'} in the {which} audit"
    old, new = (_settings(finding) for finding in pair if finding is not None)
    if "norm" in old and _adversary(before.record) != _adversary(after.record):
        return "[columns] of the plans lets an adversary change other things"
    return "; ".join(_beside(key, old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key))


def _adversary(record: AuditRecord) -> dict[str, dict[str, Any]]:
    """What a plan says of the columns of a table, but for what changes no number."""
    said = {
        name: {key: item for key, item in column.items() if key != "unit" and item not in (None, False)}
        for name, column in record.plan.get("columns", {}).items()
    }
    return {name: column for name, column in said.items() if column}


def _settings(finding: Finding) -> dict[str, Any]:
    """How a value was measured."""
    how = {key: item for key, item in finding.conditions.items() if key not in OF_THE_ROWS}
    return how | {"unit": finding.unit, "level": finding.level}


def _differences(before: AuditRecord, after: AuditRecord) -> list[str]:
    """What else than the findings differs between two audits: models, data, plan, seed and versions."""
    old, new = (dict(formatting.flat(_described(record))) for record in (before, after))
    return [_beside(key, old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)]


def _described(record: AuditRecord) -> dict[str, Any]:
    versions = record.findings[0].versions if record.findings else {}
    told = {"models": record.names, "data": record.data, "plan": record.plan, "seed": record.seed}
    return told | {"versions": versions}


def _beside(key: str, before: object, after: object) -> str:
    """What differs, in one clause."""
    texts = (textwrap.shorten(formatting.words(item), 60) for item in (before, after))
    return f"{key} {' and '.join(texts)}"
