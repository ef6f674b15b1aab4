"""`trustworthy explain`: why a model predicts what it does on some rows, and which explanation to trust."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trustworthy.cli.audit import Threads, command_line, set_threads
from trustworthy.cli.data import DATA, DROP, LABEL, columns_of, tell_data
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import shares


def explain(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="As `trustworthy audit` takes it: a file, folder or factory.")
    ],
    data: Annotated[str, typer.Option(metavar="NAME|FILE|FOLDER", help=DATA)],
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
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help=LABEL)] = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE|FOLDER", help="Training rows: means, spreads, and what rules are judged on."),
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN,...", help=DROP)] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side in pixels that pictures are brought to.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Read model files that can run code: pickle, joblib, TorchScript, .pt2.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of all randomness.")] = 0,
    device: Annotated[
        str | None, typer.Option(metavar="D", help="cpu, cuda, ...; default: a GPU if there is one.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "",
    threads: Threads = None,
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
    given: Any = {"label": label, "train": train, "drop": columns_of(drop), "size": size}
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
    return None if text is None else text.replace(",", " ").split()


def _numbers(text: str) -> list[int]:
    words = text.replace(",", " ").split()
    for word in words:
        if not word.isdecimal():
            raise InvalidInput(f"rows must be numbers of test rows from 0, such as --rows 3,17, got {word!r}.")
    return [int(word) for word in words]
