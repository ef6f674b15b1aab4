"""The answer of an audit as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from trustworthy.report import findings
from trustworthy.report.finding import AuditRecord, Finding, Verdict
from trustworthy.report.summary import model_names, summarize

_LOOK: dict[Verdict, tuple[str, str]] = {
    "good": ("✓", "green"),
    "attention": ("!", "yellow"),
    "worry": ("✗", "bold red"),
    "information": ("i", "dim"),
}


def summary_table(record: AuditRecord) -> Table:
    """The summary of the report: properties down, models across, the worst news of a property first."""
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
        table.add_section()
    return table


def _claim(finding: Finding) -> Text:
    symbol, colour = _LOOK[finding.verdict]
    text = Text.assemble((f"{symbol} {finding.verdict}", colour), " ", finding.title)
    if finding.value is not None:
        text.append(f": {findings.value(finding)}")
    if interval := findings.interval(finding):
        text.append(f" ({interval})", style="dim")
    if finding.statement:
        text.append(f"\n{finding.statement}")
    return text
