"""`trustworthy benchmark`: which way of estimating uncertainty is worth its price."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import command_line, set_threads
from trustworthy.core.progress import shares

app = typer.Typer(no_args_is_help=True, help="Compare methods on data whose truth is known.")


@app.callback()
def benchmark() -> None:
    """Compare methods on data whose truth is known."""


@app.command()
def uncertainty(
    suite: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="cells, pairs or classification; or a folder of your own pairs.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the page, the numbers and the trained models.")],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...", help="naive, snapshot, batch, fast, sgld, svi, mc-dropout, single; default all."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each method, under seeds 0, 1, ...")] = 3,
    profile: Annotated[str, typer.Option(metavar="NAME", help="smoke (seconds), small (minutes) or full.")] = "small",
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Passes over the data, for the profile's.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Images of a classification: digits, fashion-mnist, cifar10 ...")
    ] = None,
    average: Annotated[
        str | None, typer.Option(metavar="WHAT", help="What is averaged over members: probabilities or logits.")
    ] = None,
    device: options.Device = None,
    threads: options.Threads = None,
) -> None:
    """Train each method several times, and judge whether it is uncertain where it should be.

    Interrupted, it goes on where it stopped when the same command is given again.
    """
    typer.echo(f"preparing {suite} ...", err=True)  # before what follows, which takes seconds to import
    from rich.console import Console

    from trustworthy.report.benchmark.page import REPORT
    from trustworthy.report.benchmark.saved import ROWS, SAVED
    from trustworthy.report.benchmark.study import run
    from trustworthy.report.benchmark.words import answer, tables

    set_threads(threads)
    names = None if methods is None else options.words(*methods)
    with shares(of_all=True) as tell:
        record = run(
            suite, out, methods=names, seeds=seeds, profile=profile, epochs=epochs, data=data, average=average,
            device=device, command=command_line(), on_progress=tell,
        )  # fmt: skip
    for table in tables(record):
        Console().print(table)
    for line in answer(record):
        typer.echo(line)
    typer.echo(f"report: {out / REPORT}; numbers: {out / SAVED.file}, {out / ROWS}")
