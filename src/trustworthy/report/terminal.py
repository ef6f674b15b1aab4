"""The answer of an audit as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from trustworthy.report import formatting
from trustworthy.report.finding import AuditRecord, Finding, Verdict
from trustworthy.report.summary import Cell, model_names, summarize

_LOOK: dict[Verdict, tuple[str, str]] = {
    "good": ("✓", "green"),
    "attention": ("!", "yellow"),
    "worry": ("✗", "bold red"),
    "information": ("i", "dim"),
}


def summary_table(record: AuditRecord) -> Table:
    """The summary of the report: one row per property, one column per model, the worst news first."""
    table = Table(title=Text(record.title), title_justify="left", show_lines=True, expand=False)
    table.add_column("property", style="bold", no_wrap=True)
    for name in model_names(record):
        table.add_column(Text(name), ratio=1)
    for line in summarize(record):
        table.add_row(line.property, *(_cell(cell) for cell in line.cells))
    return table


def _cell(cell: Cell) -> Text:
    if not cell.findings:
        return Text("; ".join(("not measured", *cell.missing)), style="dim")
    return Text("\n").join(_claim(finding) for finding in cell.findings)


def _claim(finding: Finding) -> Text:
    symbol, colour = _LOOK[finding.verdict]
    text = Text.assemble((f"{symbol} {finding.verdict}", colour), " ", finding.title)
    if finding.value is not None:
        text.append(f": {formatting.value(finding)}")
    if interval := formatting.interval(finding):
        text.append(f" ({interval})", style="dim")
    if finding.statement:
        text.append(f"\n{finding.statement}")
    return text
