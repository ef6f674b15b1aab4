"""From a saved audit to one self-contained page: findings become sections, cards of one kind, and panels.

Nothing is measured here, and no algorithm is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from trustworthy.core.study import writing
from trustworthy.report import findings, formatting, markup, summary
from trustworthy.report.finding import AuditRecord, Finding, Property, Verdict
from trustworthy.report.findings import BY_NAME, KINDS, OF_FINDING
from trustworthy.report.kind import Kind
from trustworthy.report.panel import Group, Item, Panel, Shown, note, row, table
from trustworthy.report.plots.theme import Style
from trustworthy.report.saved import Audit, Entry, read

REPORT = "report.html"
_COLUMNS_SHOWN = 100
_TITLES: dict[Property, str] = {
    "robustness": "Robustness",
    "evaluation": "The evaluation itself",
    "uncertainty": "Uncertainty",
    "interpretation": "Interpretation",
}
"""Parts of the page in its order."""


@dataclass(frozen=True)
class Model:
    """An audited model as the page shows it."""

    name: str
    look: Style
    details: dict[str, Any]
    verdict: Verdict | None
    advice: str


@dataclass(frozen=True)
class Section:
    """A part of the page: a card of panels for each kind."""

    id: Property
    title: str
    question: str
    cards: list[list[Panel]]


def render(folder: str | os.PathLike[str]) -> Path:
    """Write `report.html` beside the findings that it shows.

    The page holds its style, figures and pictures, asks no network for anything, and is the same for the same findings.

    Parameters
    ----------
    folder : where an audit saved `findings.json` and `arrays.npz` (docs/findings.md).

    Returns
    -------
    Path of the page; a page that was there before is replaced at once or not at all.

    Raises
    ------
    DataError : the findings or arrays are missing, broken or of another version, or the page cannot be written.
    """
    html = environment().get_template("report.html.j2").render(build(read(folder)))
    target = Path(folder) / REPORT
    with writing(target) as stream:
        stream.write(html)
    return target


@cache  # compiling the templates takes longer than filling them in
def environment() -> jinja2.Environment:
    """Where the templates of pages lie, and how they write numbers."""
    loader = jinja2.PackageLoader("trustworthy.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    for name in ("percent", "number", "duration", "flat"):
        environment.filters[name] = getattr(formatting, name)
    environment.filters["date"] = _date
    environment.globals["m"] = markup
    environment.filters |= {"value": findings.value, "interval": findings.interval, "beside": findings.beside}
    return environment


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
        "record": record, "title": record.title.removeprefix("Trust report: "), "created": _date(record.created),
        "models": models, "lines": lines, "compared": _compared(record),
        "sections": _sections(audit, {model.name: model.look for model in models}),
        "wall_time": _wall_time(record), "versions": versions(record), "shared_conditions": shared,
        "own_conditions": own, "data": {key: item for key, item in record.data.items() if key != "columns"},
        "columns": _columns(record.data.get("columns", [])), "plan": _without_guesses(record.plan),
    }  # fmt: skip


def _compared(record: AuditRecord) -> str:
    """Which model holds most, where the audit sets defences side by side."""
    beside = any(finding.kind == "defense" for finding in record.findings)
    return summary.most_robust(record) if beside else ""


def _without_guesses(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with what it says of columns, and not what it leaves to be guessed."""
    columns = {
        name: {key: item for key, item in column.items() if item not in (None, False, "")}
        for name, column in plan.get("columns", {}).items()
    }
    return plan | {"columns": columns} if columns else plan


def _columns(columns: list[dict[str, Any]]) -> str:
    """What each column of a table is, and how attacks move it; nothing where the data are no table."""
    if not columns:
        return ""
    head = ["column", "what it is", "range", "standard deviation"]
    caption = "Columns, and how attacks that move numbers move them"
    rows = [row(column["name"], _moves(column)) for column in columns[:_COLUMNS_SHOWN]]
    rest = len(columns) - len(rows)
    more = note(f"and {formatting.number(rest)} more columns, in findings.json") if rest else ""
    return table(caption, head, rows, caption, captioned=True) + more


def _moves(column: dict[str, Any]) -> list[str]:
    if "range" not in column:
        what = {"boolean": "truth value"}.get(column["kind"], column["kind"])
        return [f"{what}, {'immutable' if column['immutable'] else 'held'}", "", ""]
    low, high = column["range"]
    step, unit, number = column["step"], f" {column['unit']}" if column.get("unit") else "", formatting.number
    what = f"numeric, whole steps of {number(step)}" if step else "numeric"
    if column["immutable"]:
        what = "one value" if low == high else "immutable"
    ends = [f"from {number(low)}"] * (low is not None) + [f"to {number(high)}"] * (high is not None)
    span = f"{' '.join(ends)}{unit} ({column['range_is']})" if ends else "no limit (given)"
    return [what, span, f"{number(column['standard_deviation'])}{unit}"]


def _sections(audit: Audit, looks: dict[str, Style]) -> list[Section]:
    groups = {name: _groups(audit, kind, looks) for name, kind in BY_NAME.items()}
    units, beside = audit.record.data.get("units", ""), groups.__getitem__
    sections = []
    for about, title in _TITLES.items():
        own = dict.fromkeys(kind.name for kind in KINDS if kind.property == about)
        shown = {name: Shown(groups[name], list(looks), units, beside) for name in own if groups[name]}
        cards = [list(BY_NAME[name].draw(those)) for name, those in shown.items()]
        if cards:
            sections.append(Section(about, title, summary.QUESTIONS[about], cards))
    return sections


def _groups(audit: Audit, kind: Kind, looks: dict[str, Style]) -> list[Group]:
    """Findings of one kind by name, those of a name in the order of the models."""
    order = {model: rank for rank, model in enumerate(looks)}
    by_name: dict[str, list[Entry]] = {}
    for entry in audit.entries:
        if entry.finding.kind == kind.name:
            by_name.setdefault(entry.finding.name, []).append(entry)
    groups = []
    for place, (name, own) in enumerate(by_name.items(), 1):
        own.sort(key=lambda entry: order.get(entry.finding.model, len(order)))
        id = f"{kind.name.replace('_', '-')}-{place}"
        items = []
        for i, entry in enumerate(own, 1):
            finding, look = entry.finding, looks.get(entry.finding.model, Style(len(looks) + 1))
            said = findings.value(finding), findings.beside(finding), findings.counted(finding)
            items.append(
                Item(f"{id}-{i}", finding.model, look, finding, entry.series, entry.arrays, *said, len(looks) < 2)
            )
        groups.append(Group(id, name, items[0].finding.title, items))
    return groups


def _conditions(findings: Iterable[Finding]) -> tuple[dict[str, Any], list[tuple[Finding, dict[str, Any]]]]:
    """Conditions that every finding shares, and those of each finding alone."""
    findings = list(findings)
    first = findings[0].conditions if findings else {}
    shared = {key: item for key, item in first.items() if all(f.conditions.get(key) == item for f in findings)}
    return shared, [(f, {k: v for k, v in f.conditions.items() if k not in shared}) for f in findings]


def _wall_time(record: AuditRecord) -> float:
    """Seconds that the audit took; those of its parts where they were measured before and only gathered now."""
    parts = {
        (f.model, OF_FINDING[f.name].step if f.name in OF_FINDING else f.name): f.wall_time for f in record.findings
    }
    return max(record.wall_time, sum(parts.values()))


def versions(record: AuditRecord) -> dict[str, str]:
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
