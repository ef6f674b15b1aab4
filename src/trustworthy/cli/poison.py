"""`trustworthy poison`: how few poisoned labels ruin a graph learner of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import command_line
from trustworthy.cli.data import tell_data
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import shares

BUDGETS = "numbers with commas between them, such as 0,1,2,5"


def poison(
    data: options.Data,
    labelled: Annotated[int, typer.Option(metavar="N", help="Rows whose label the learner is told.")] = 100,
    label: options.Label = None,
    drop: options.Drop = None,
    regression: Annotated[
        bool, typer.Option("--regression", help="Labels are numbers; those with fractions are in any case.")
    ] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="B,B,...",
            help="Flips, default 0 to 10; in a regression l2 norms of the change of labels in [0, 1].",
        ),
    ] = None,
    gamma: Annotated[
        str, typer.Option(metavar="cv|G", help="Width of the graph; cv leaves each label out in turn.")
    ] = "cv",
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Attack, default local-search; exact in a regression.")
    ] = None,
    classes: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Two classes, default the commonest.")
    ] = None,
    rows: Annotated[int | None, typer.Option(metavar="N", help="Rows drawn at random, default all.")] = None,
    neighbors: Annotated[
        int | None, typer.Option(metavar="K", help="Join only so many nearest rows, default all.")
    ] = None,
    knowledge: Annotated[
        str, typer.Option(metavar="true|estimated", help="What the attacker knows of the hidden labels.")
    ] = "true",
    splits: Annotated[int, typer.Option(metavar="K", help="Draws of the known labels; means are shown.")] = 1,
    baselines: Annotated[bool, typer.Option(help="Attack random and central labels too.")] = True,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for poisoning.json and poisoning.svg.")
    ] = None,
) -> None:
    """Measure how much a few wrong training labels harm label propagation, and what no attack can exceed.

    With --out an interrupted run goes on where it stopped when the same command is given again.
    """
    from rich.console import Console

    from trustworthy import datasets
    from trustworthy.report.poisoning.study import FIGURE, FILE
    from trustworthy.report.poisoning.study import poison as run
    from trustworthy.report.poisoning.words import table

    dataset = datasets.read(data, label=label, drop=options.columns_of(drop), task="regression" if regression else None)
    tell_data(dataset)
    with shares() as tell:
        record = run(
            dataset,
            out,
            labelled=labelled,
            budgets=None if budget is None else [_number("budget", word, BUDGETS) for word in options.words(*budget)],
            gamma=None if gamma == "cv" else _number("gamma", gamma, "cv or a number > 0"),
            method=method,
            classes=classes,
            rows=rows,
            n_neighbors=neighbors,
            knowledge=knowledge,
            splits=splits,
            baselines=baselines,
            seed=seed,
            command=command_line(),
            on_progress=lambda what, share: tell(f"{data}: {what}", share),
        )
    Console().print(table(record))
    typer.echo(record.statement)
    if out is not None:
        typer.echo(f"written: {out / FILE}, {out / FIGURE}")


def _number(name: str, text: str, expected: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{name} must be {expected}, got {text!r}.") from None
