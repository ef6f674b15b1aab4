"""The answer of an audit: for each property and each model, the findings that decide, the worst news first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from trustworthy.report.finding import AuditRecord, Finding, Property, Verdict

WORST_FIRST: tuple[Verdict, ...] = ("worry", "attention", "good", "information")
PROPERTIES: tuple[Property, ...] = get_args(Property)
QUESTIONS: dict[Property, str] = {
    "robustness": "Does it hold when the input is disturbed?",
    "uncertainty": "Does it know when it is wrong?",
    "interpretation": "What does it look at?",
    "evaluation": "Can these numbers be believed?",
}
_LEADS: dict[Verdict | None, str] = {
    "worry": "Cause for worry",
    "attention": "Needs attention",
    "good": "Good",
    None: "Not measured",
}


@dataclass(frozen=True)
class Cell:
    """What one model's findings say about one property.

    verdict : the worst of the headline verdicts, None where nothing was measured.
    findings : the headline findings, worst first.
    missing : why parts of the plan are not there, where nothing was measured.
    """

    model: str
    verdict: Verdict | None
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One property, answered for every model."""

    property: Property
    question: str
    cells: tuple[Cell, ...]


def model_names(record: AuditRecord) -> list[str]:
    """Audited models in the order of the audit; a finding may speak of one that the list forgot."""
    listed = [str(model.get("name", f"model {place}")) for place, model in enumerate(record.models, 1)]
    return list(dict.fromkeys([*listed, *(f.model for f in record.findings if f.headline)]))


def summarize(record: AuditRecord) -> list[Line]:
    """One line per property, with a cell per model."""
    models = model_names(record)
    return [Line(p, QUESTIONS[p], tuple(_cell(record, p, model) for model in models)) for p in PROPERTIES]


def conclusion(lines: Sequence[Line], model: str) -> tuple[Verdict | None, str]:
    """The worst verdict of a model, and in a few words which properties earned what."""
    cells = {line.property: cell for line in lines for cell in line.cells if cell.model == model}
    parts = []
    for verdict, lead in _LEADS.items():
        if about := [name for name, cell in cells.items() if cell.verdict == verdict]:
            parts.append(f"{lead}: {', '.join(about)}.")
    verdict = worst([cell.verdict for cell in cells.values() if cell.verdict is not None])
    return verdict, " ".join(parts) if parts else "No verdict: nothing that was measured decides."


def worst(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The verdict that deserves most attention; mere information only where nothing else is known."""
    return min(verdicts, key=WORST_FIRST.index, default=None)


def _cell(record: AuditRecord, about: Property, model: str) -> Cell:
    own = [finding for finding in record.findings if finding.model == model and finding.property == about]
    shown = [finding for finding in own if finding.headline] or own[:1]
    ordered = tuple(sorted(shown, key=lambda finding: WORST_FIRST.index(finding.verdict)))
    missing = (
        () if shown else tuple(o.reason for o in record.omissions if o.model == model and _concerns(o.part, about))
    )
    return Cell(model, worst([finding.verdict for finding in ordered]), ordered, missing)


def _concerns(part: str, about: Property) -> bool:
    return part.split(".")[0] == about
