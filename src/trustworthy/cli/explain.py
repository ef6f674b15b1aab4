"""`trustworthy explain`: why a model predicts what it does on some rows, and which explanation to trust."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import command_line, set_threads
from trustworthy.cli.data import tell_data
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import shares


def explain(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="As `trustworthy audit` takes it: a file, folder or factory.")
    ],
    data: options.Data,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the page and the numbers.")],
    rows: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Test rows, from 0; default: six over the classes that are read rightly."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="greedy-as, greedy, gradient, ig, eg, shap, shap-exact, shap-permutation, loo, bbmp, cfx, anchors; "
            "default: those that fit.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Why the prediction and not this class; a name or a number.")
    ] = None,
    criteria: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="robustness-complement, robustness, insertion, deletion (default), infidelity, sensitivity, or "
            "area:NAME of one of the first four; NAME@apgd judges by an attack that no method searches with. The first "
            "decides.",
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="What a feature is: pixel, patch:4, superpixels:64, channel, column or word."
        ),
    ] = None,
    norm: Annotated[str, typer.Option(metavar="NORM", help="Of a change: l2 or linf.")] = "l2",
    steps: Annotated[int, typer.Option(metavar="N", help="Of the search for one smallest change.")] = 100,
    random: Annotated[int, typer.Option(metavar="N", help="Random orders that say what chance reaches.")] = 3,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of a stochastic model in every answer.")] = 10,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights (.safetensors, or a state_dict) of the MODEL.")
    ] = None,
    label: options.Label = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE|FOLDER", help="Training rows: means, spreads, and what rules are judged on."),
    ] = None,
    drop: options.Drop = None,
    size: options.Size = None,
    trust: options.Trust = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    threads: options.Threads = None,
) -> None:
    """Explain predictions of MODEL by several methods, and judge which of them to trust.

    Interrupted, it goes on where it stopped when the same command is given again.
    """
    typer.echo(f"reading {model} ...", err=True)  # before what follows, which takes seconds to import
    from rich.console import Console

    from trustworthy.models import load_model
    from trustworthy.report.explanation.inquiry import LOOKED
    from trustworthy.report.explanation.methods import CRITERIA
    from trustworthy.report.explanation.page import REPORT
    from trustworthy.report.explanation.record import SAVED
    from trustworthy.report.explanation.study import run
    from trustworthy.report.explanation.words import answer, tables
    from trustworthy.report.folder import ARRAYS
    from trustworthy.report.rows import read_data

    numbers = None if rows is None else _numbers(rows)
    set_threads(threads)
    loaded = load_model(model, trust=trust, weights=weights)
    given: Any = {"label": label, "train": train, "drop": options.columns_of(drop), "size": size}
    dataset = read_data(data, LOOKED if numbers is None else 0, seed, **given)
    tell_data(dataset)
    with shares(of_all=True) as tell:
        record = run(
            loaded, dataset, out, rows=numbers, methods=_names(methods), criteria=_names(criteria) or CRITERIA,
            target=target, groups=groups, norm=norm, steps=steps, random_orders=random, draws=draws, seed=seed,
            device=device, title=title, command=command_line(), on_progress=tell,
        )  # fmt: skip
    for table in tables(record):
        Console().print(table)
    for line in answer(record):
        typer.echo(line)
    typer.echo(f"page: {out / REPORT}")
    typer.echo(f"numbers: {out / SAVED.file}, {out / ARRAYS}")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else options.words(text)


def _numbers(text: str) -> list[int]:
    words = options.words(text)
    for word in words:
        if not word.isdecimal():
            raise InvalidInput(f"rows must be numbers of test rows from 0, such as --rows 3,17, got {word!r}.")
    return [int(word) for word in words]
