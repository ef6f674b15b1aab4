"""What the page shows and in which order: findings become sections, blocks of one kind, and groups of one name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from trustworthy.report import summary
from trustworthy.report.finding import AuditRecord, Finding, Property, Verdict
from trustworthy.report.kinds import AdversarialExamples, Saliency
from trustworthy.report.plots.theme import Style
from trustworthy.report.saved import Audit, Entry

_SECTIONS: dict[Property, tuple[str, tuple[str, ...]]] = {
    "robustness": (
        "Robustness",
        ("accuracy", "robustness_curve", "distortion", "adversarial_pictures", "corruptions", "transfer", "poisoning"),
    ),
    "evaluation": ("The evaluation itself", ("diagnosis",)),
    "uncertainty": ("Uncertainty", ("calibration", "score", "risk_coverage")),
    "interpretation": ("Interpretation", ("saliency",)),
}
CHANGES_SHOWN = 5


@dataclass(frozen=True)
class Model:
    """An audited model as the page shows it."""

    name: str
    look: Style
    details: dict[str, Any]
    verdict: Verdict | None
    advice: str


@dataclass(frozen=True)
class Shown:
    """A finding of one model, with the look of that model."""

    model: str
    look: Style
    entry: Entry

    @property
    def finding(self) -> Finding:
        return self.entry.finding

    @property
    def series(self) -> Any:
        return self.entry.series

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return self.entry.arrays


@dataclass(frozen=True)
class Group:
    """Findings of one name, one per model, to be seen side by side; `id` is unique on the page."""

    id: str
    name: str
    title: str
    shown: list[Shown]


@dataclass(frozen=True)
class Section:
    """A part of the page: its blocks are (kind, groups of that kind)."""

    id: Property
    title: str
    question: str
    blocks: list[tuple[str, list[Group]]]


@dataclass(frozen=True)
class Change:
    """A feature that an attack changed."""

    feature: str
    original: float
    adversarial: float


def build(audit: Audit) -> dict[str, Any]:
    """Everything that the template reads."""
    record = audit.record
    names, lines = summary.model_names(record), summary.summarize(record)
    details = {str(model.get("name")): {k: v for k, v in model.items() if k != "name"} for model in record.models}
    models = [
        Model(name, Style(place), details.get(name, {}), *summary.conclusion(lines, place - 1))
        for place, name in enumerate(names, 1)
    ]
    shared, own = _conditions(record.findings)
    return {
        "record": record,
        "title": record.title.removeprefix("Trust report: "),
        "created": _date(record.created),
        "models": models,
        "lines": lines,
        "sections": _sections(audit, {model.name: model.look for model in models}),
        "versions": _versions(record),
        "shared_conditions": shared,
        "own_conditions": own,
        "units": record.data.get("units", ""),
    }


def norm(name: str) -> str:
    """Norm that a finding's name speaks of: "robustness.linf.accuracy" -> "linf"."""
    return next((part for part in name.split(".") if part in {"l1", "l2", "linf"}), "")


def changes(shown: Shown) -> list[list[Change]]:
    """Per attacked row of a table, the features that changed most in the spread of the rows shown."""
    series: AdversarialExamples = shown.series
    before, after = shown.arrays["original"], shown.arrays["adversarial"]
    names = [*series.features, *(f"feature {column}" for column in range(len(series.features), before.shape[1]))]
    spread = np.concatenate([before, after]).std(axis=0)
    size = np.abs(after - before) / np.where(spread > 0, spread, 1.0)
    rows = []
    for place, order in enumerate(np.argsort(-size, axis=1, kind="stable")):
        kept = [column for column in order[:CHANGES_SHOWN] if before[place, column] != after[place, column]]
        rows.append([Change(names[c], float(before[place, c]), float(after[place, c])) for c in kept])
    return rows


def curve(shown: Shown) -> tuple[str, Style, Any]:
    """What a figure of several models needs of each."""
    return shown.model, shown.look, shown.series


def ranked_features(shown: Shown) -> list[tuple[str, float, float]]:
    """Features of a table by importance: (name, importance, its size as a share of the largest)."""
    series: Saliency = shown.series
    largest = max((abs(value) for value in series.importance if value == value), default=0.0) or 1.0
    rows = [(n, v, abs(v) / largest) for n, v in zip(series.features, series.importance, strict=True) if v == v]
    return sorted(rows, key=lambda row: -row[2])


def mean(values: Iterable[float]) -> float:
    """Mean of the values that were measured; NaN if none was."""
    measured = [value for value in values if not math.isnan(value)]
    return sum(measured) / len(measured) if measured else math.nan


def columns(rows: Iterable[Sequence[float]]) -> list[tuple[float, ...]]:
    """Columns of a table given by rows, short rows filled with NaN."""
    return list(itertools.zip_longest(*rows, fillvalue=math.nan))


def _sections(audit: Audit, looks: dict[str, Style]) -> list[Section]:
    sections = []
    for about, (title, kinds) in _SECTIONS.items():
        blocks = [(kind, groups) for kind in kinds if (groups := _groups(audit, kind, looks))]
        if blocks:
            sections.append(Section(about, title, summary.QUESTIONS[about], blocks))
    return sections


def _groups(audit: Audit, kind: str, looks: dict[str, Style]) -> list[Group]:
    entries = [entry for entry in audit.entries if entry.finding.kind == kind]
    groups = []
    for place, name in enumerate(dict.fromkeys(entry.finding.name for entry in entries), 1):
        own = [entry for entry in entries if entry.finding.name == name]
        shown = [Shown(e.finding.model, looks.get(e.finding.model, Style(len(looks) + 1)), e) for e in own]
        order = {model: rank for rank, model in enumerate(looks)}
        shown.sort(key=lambda item: order.get(item.model, len(order)))
        groups.append(Group(f"{kind.replace('_', '-')}-{place}", name, own[0].finding.title, shown))
    return groups


def _conditions(findings: Iterable[Finding]) -> tuple[dict[str, Any], list[tuple[Finding, dict[str, Any]]]]:
    """Conditions that every finding shares, and those of each finding alone."""
    findings = list(findings)
    first = findings[0].conditions if findings else {}
    shared = {key: item for key, item in first.items() if all(f.conditions.get(key) == item for f in findings)}
    return shared, [(f, {k: v for k, v in f.conditions.items() if k not in shared}) for f in findings]


def _versions(record: AuditRecord) -> dict[str, str]:
    """Versions of the software; findings of a resumed audit may name several."""
    seen: dict[str, list[str]] = {}
    for finding in record.findings:
        for name, version in finding.versions.items():
            if version not in seen.setdefault(name, []):
                seen[name].append(version)
    return {name: " and ".join(found) for name, found in seen.items()}


def _date(created: str) -> str:
    try:
        return datetime.fromisoformat(created).strftime("%-d %B %Y, %H:%M")
    except ValueError:
        return created
