"""A benchmark in words: which method is best at what, and tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustworthy.report import terminal
from trustworthy.report.benchmark.columns import cells, columns, costs, ranked
from trustworthy.report.benchmark.record import BenchmarkRecord

if TYPE_CHECKING:
    from rich.table import Table


def answer(record: BenchmarkRecord) -> list[str]:
    """Sentences: the best of the first columns of each trial, what one seed leaves open, and which methods failed."""
    said = []
    for name, trial in record.trials.items():
        for column in columns(record, name)[:2]:
            found = cells(record, name, column)
            order = ranked(column, found)
            if not order:
                continue
            best, *others = (f"{method} ({column.written(found[method].mean)})" for method in order[:2])
            rest = f", then {others[0]}" if others else ""
            what = ", ".join(filter(None, (column.title, column.below)))
            said.append(f"{trial.title}, {what}: {best} is best{rest}.")
    failed = dict.fromkeys((run.method, record.trials[run.trial].title) for run in record.runs if run.failed)
    wrong = [f"{method} failed to train on {trial}." for method, trial in failed]
    lone = ["Trained under one seed: under another the order may be another; more seeds tell."] * (
        len(record.seeds) == 1
    )
    return [*said, *lone, *wrong]


def tables(record: BenchmarkRecord) -> list[Table]:
    """A table for each trial: methods by scores, as means over the seeds; the best of each column in bold."""
    from rich.text import Text  # only where it is shown: it takes a while to import

    cost, drawn = costs(record), []
    for name, trial in record.trials.items():
        chosen = columns(record, name)
        found = [cells(record, name, column) for column in chosen]
        first = [ranked(column, cell)[:1] for column, cell in zip(chosen, found, strict=True)]
        heads = ["\n".join(filter(None, (column.title, column.below))) for column in chosen]
        title = f"{record.title}: {trial.title[0].lower()}{trial.title[1:]}"
        shown = terminal.table(title, "method", [*heads, "cost"])
        for method in record.methods:
            written = [
                Text(column.written(cell[method].mean) if method in cell else "–", "bold" if method in best else "")
                for column, cell, best in zip(chosen, found, first, strict=True)
            ]
            shown.add_row(method, *written, f"{cost[method]:.2g}×" if method in cost else "failed")
        drawn.append(shown)
    return drawn
