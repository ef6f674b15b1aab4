"""The answer of an audit, on the page and in the terminal: of each property what decides it, the worst news first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, get_args

from trustworthy.report import findings
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding, Property, Verdict
from trustworthy.report.formatting import all_of

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

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
_LOOK: dict[Verdict, tuple[str, str]] = {
    "good": ("✓", "green"),
    "attention": ("!", "yellow"),
    "worry": ("✗", "bold red"),
    "information": ("i", "dim"),
}


_PROPERTY = {kind.step: kind.property for kind in findings.KINDS}


@dataclass(frozen=True)
class Line:
    """One property, answered for every model.

    verdicts : per model, the worst of its headline verdicts; None where nothing was measured.
    claims : headline findings of one name per row, one column per model; the worst news of any model first.
    missing : per model, why parts of the plan are not there, where nothing was measured.
    failed : per model, the parts in which it raised or gave NaN, and what happened; each is a worry.
    """

    property: Property
    question: str
    verdicts: tuple[Verdict | None, ...]
    claims: tuple[tuple[Finding | None, ...], ...]
    missing: tuple[tuple[str, ...], ...]
    failed: tuple[tuple[str, ...], ...]


def model_names(record: AuditRecord) -> list[str]:
    """Audited models in the order of the audit; a finding may speak of one that the list forgot."""
    return list(dict.fromkeys([*record.names, *(f.model for f in record.findings if f.headline)]))


def summarize(record: AuditRecord) -> list[Line]:
    """One line per property, with a column per model."""
    return [_line(record, about, model_names(record)) for about in PROPERTIES]


def conclusion(lines: Sequence[Line], place: int) -> tuple[Verdict | None, str]:
    """The worst verdict of the model at `place`, and in a few words which properties earned what."""
    parts = []
    for verdict, lead in _LEADS.items():
        if about := [line.property for line in lines if line.verdicts[place] == verdict]:
            parts.append(f"{lead}: {', '.join(about)}.")
    return worst([line.verdicts[place] for line in lines]), " ".join(parts)


def under_attack(record: AuditRecord) -> dict[str, Finding]:
    """By model, the accuracy under attack in linf that counts: by averaged gradients where the model is stochastic."""
    names = ("robustness.linf.accuracy", "robustness.linf.randomness")  # the later one counts
    return {finding.model: finding for name in names for finding in record.findings if finding.name == name}


def most_robust(record: AuditRecord) -> str:
    """Which of several models is the most accurate under attack, and which may be as accurate; "" of a single one.

    Models may be as accurate whose interval reaches into that of the first. One whose attacks failed a check is named.
    """
    held = [
        (finding.value, *(finding.interval or (finding.value, finding.value)), finding)
        for finding in under_attack(record).values()
        if finding.value is not None
    ]
    if len(held) < 2:
        return ""
    (_, low, _, best), *others = sorted(held, key=lambda each: -each[0])
    told = f"Most accurate under attack (linf): {best.model}, {findings.value(best)}"
    within = [f"{each.model} ({findings.value(each)})" for _, _, high, each in others if high >= low]
    told += (
        f"; by their intervals {all_of(within)} may be as accurate."
        if within
        else ", beyond the intervals of the others."
    )
    doubted = [f.model for f in record.findings if f.name == "evaluation.diagnosis" and f.verdict != "good"]
    return told + (
        f" The attacks on {all_of(doubted)} failed a check, and may be weaker than they look." if doubted else ""
    )


def property_of(part: str) -> str:
    """The property that a part of the plan measures, or a part of an older plan by its name."""
    return _PROPERTY.get(part, part.split(".")[0])


def worst(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The verdict that deserves most attention; mere information only where nothing else is known."""
    given = set(verdicts)
    return next((verdict for verdict in WORST_FIRST if verdict in given), None)


def foremost(record: AuditRecord, most: int = 3) -> list[tuple[str, str]]:
    """What matters most, as lines for the terminal with their colours: verdict, title, value, and one clause.

    The worst verdicts, and of equal ones those of different properties first; mere information is left out.
    """
    several = len(model_names(record)) > 1
    ranked: list[Any] = []  # (how bad, place within its property, verdict, text)
    for line in summarize(record):
        news: list[Any] = [("worry", text) for text in dict.fromkeys(chain(*line.failed))]
        news += [(f.verdict, _in_a_line(f, several)) for claims in line.claims for f in claims if f]
        news.sort(key=lambda each: WORST_FIRST.index(each[0]))
        ranked += [(WORST_FIRST.index(verdict), place, verdict, text) for place, (verdict, text) in enumerate(news)]
    ranked.sort(key=lambda each: each[:2])
    told = [(*_LOOK[verdict], verdict, text) for _, _, verdict, text in ranked if verdict != "information"]
    return [(colour, f"{symbol} {verdict} {text}") for symbol, colour, verdict, text in told[:most]]


def _in_a_line(finding: Finding, several: bool) -> str:
    whose = f" of {finding.model}" if several else ""
    value = "" if finding.value is None else f": {findings.value(finding)}"
    clause = re.split(r"[;.] ", re.sub(r" \([^()]*\)", "", finding.statement))[0].rstrip(".")
    return f"{finding.title}{whose}{value}" + f". {clause}." * bool(clause)


def summary_table(record: AuditRecord) -> Table:
    """The summary of the report: properties down, models across, the worst news of a property first."""
    from rich.table import Table  # only where it is shown: it takes a while to import
    from rich.text import Text

    models = model_names(record)
    table = Table(title=Text(record.title), title_justify="left", expand=False)
    table.add_column("property", style="bold", no_wrap=True)
    for name in models:
        table.add_column(Text(name), ratio=1)
    for line in summarize(record):
        for place, claims in enumerate(line.claims):
            table.add_row("" if place else line.property, *(_claim(f) if f else Text("") for f in claims))
        if not line.claims:
            table.add_row(line.property, *(Text("; ".join(("not measured", *why)), "dim") for why in line.missing))
        if any(line.failed):
            table.add_row("", *(Text("\n".join(f"✗ {text}" for text in texts), "bold red") for texts in line.failed))
        table.add_section()
    return table


def _line(record: AuditRecord, about: Property, models: Sequence[str]) -> Line:
    own = [finding for finding in record.findings if finding.property == about]
    shown = {(finding.name, finding.model): finding for finding in own if finding.headline}
    names = list(dict.fromkeys(name for name, _ in shown))
    rows = [tuple(shown.get((name, model)) for model in models) for name in names]
    rows.sort(key=lambda row: min(WORST_FIRST.index(finding.verdict) for finding in row if finding))
    columns = [[row[place] for row in rows] for place in range(len(models))]
    left_out = [o for o in record.omissions if property_of(o.part) == about]
    missing = tuple(tuple(o.reason for o in left_out if o.model == model and not o.failed) for model in models)
    failed = tuple(
        tuple(f"{o.part} failed: {o.reason}" for o in left_out if o.failed and o.model in (model, ALL_MODELS))
        for model in models
    )
    verdicts: Any = tuple(
        worst([*(finding.verdict for finding in column if finding), *(["worry"] if texts else [])])
        for column, texts in zip(columns, failed, strict=True)
    )
    return Line(about, QUESTIONS[about], verdicts, tuple(rows), missing, failed)


def _claim(finding: Finding) -> Text:
    from rich.text import Text

    symbol, colour = _LOOK[finding.verdict]
    text = Text.assemble((f"{symbol} {finding.verdict}", colour), " ", finding.title)
    if finding.value is not None:
        text.append(f": {findings.value(finding)}")
    if beside := findings.beside(finding):
        text.append(f" ({beside})", style="dim")
    if finding.statement:
        text.append(f"\n{finding.statement}")
    return text
