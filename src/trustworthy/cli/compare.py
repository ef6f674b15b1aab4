"""`trustworthy compare`: two audits side by side in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from trustworthy.report.comparison import Comparison

_LOOK = {"better": "green", "worse": "bold red", "cannot tell": "yellow", "same": "dim"}
_Audit = typer.Argument(metavar="DIR|FILE", help="Folder of an audit, or its findings.json.")


def compare(a: Annotated[Path, _Audit], b: Annotated[Path, _Audit]) -> None:
    """Show what is better or worse in audit B than in audit A by more than chance explains.

    The exit code is 0 whatever got worse; `trustworthy audit --baseline` is the gate.
    """
    from rich.console import Console

    from trustworthy.report import comparison
    from trustworthy.report.pairing import load

    found = comparison.compare(load(a), load(b))
    if found.changes:
        Console().print(_table(found, a, b))
    told = {
        "not from pairs of rows": found.unpaired,
        "not compared": found.left_out,
        "the audits differ in": found.differs,
    }
    for title, lines in told.items():
        if lines:
            typer.echo(f"{title}:")
        for line in lines:
            typer.echo(f"  {line}")


def _table(found: Comparison, a: Path, b: Path) -> Table:
    from rich.table import Table
    from rich.text import Text

    from trustworthy.report import findings

    table = Table(expand=False)
    for title in ("finding", f"A: {a}", f"B: {b}", "B - A (interval)", ""):
        table.add_column(Text(title), no_wrap=title == "finding")
    for change in found.changes:
        values = (f"{findings.value(each)}\n{findings.beside(each)}".rstrip() for each in (change.before, change.after))
        status = Text(change.status, _LOOK[change.status])
        table.add_row(*map(Text, (change.label, *values, change.written)), status)
    return table
