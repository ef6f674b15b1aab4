"""`trustworthy harden`: train defended versions of a network, and show what each bought and what it cost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import command_line, finish, set_threads, split_limits
from trustworthy.cli.data import tell_data
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import shares
from trustworthy.report.hardening import EPOCHS

if TYPE_CHECKING:
    from trustworthy.datasets import Dataset

METHODS = "rse, adversarial, trades, adv-bnn, distillation, brelu; naive, snapshot, batch, fast, sgld, svi, mc-dropout"


def harden(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="package.module:factory or path/to/file.py:factory that returns a torch module."
        ),
    ],
    data: options.Data,
    method: Annotated[list[str], typer.Option(metavar="NAME", help=f"{METHODS}; several are compared.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report and of the hardened networks.")],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to begin from (.safetensors, or a state_dict).")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Argument of the factory, such as width=8.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train from weights that are drawn anew, not from those given.")
    ] = False,
    epochs: Annotated[int, typer.Option(metavar="N", help="Passes of each method over the training rows.")] = EPOCHS,
    eps: Annotated[
        float | None, typer.Option(metavar="E", help="Largest change of an input in training and in the summary.")
    ] = None,
    label: options.Label = None,
    train: Annotated[
        str | None, typer.Option(metavar="FILE|FOLDER", help="Rows to train on; then all of --data is audited.")
    ] = None,
    drop: options.Drop = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that says which rows belong together; never split.")
    ] = None,
    size: options.Size = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="quick (default), standard or thorough.")] = None,
    plan: options.Plan = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Audited rows, 0 for all; default by the plan.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    fail_under: options.FailUnder = None,
    strict: options.Strict = False,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "",
    threads: options.Threads = None,
) -> None:
    """Train defended versions of MODEL, and audit them and MODEL on rows that none was trained on.

    Interrupted, it goes on where it stopped when the same command is given again. Limits hold for each defended model.
    """
    names, trailing = split_limits(given, gated=bool(fail_under))
    if len(names) != 1:
        raise typer.BadParameter(f"one MODEL is hardened, got {len(names)}.", param_hint="MODEL")
    typer.echo(f"reading {names[0]} ...", err=True)  # before what follows, which takes seconds to import
    from rich.console import Console

    from trustworthy.report.gate import parse_limits
    from trustworthy.report.hardening.harden import harden as run
    from trustworthy.report.hardening.harden import plan_of
    from trustworthy.report.hardening.rows import read_parted, told
    from trustworthy.report.hardening.words import chosen_epochs, table
    from trustworthy.report.summary import most_robust

    limits = parse_limits([*(fail_under or []), *trailing])
    chosen = plan_of(profile, plan)
    set_threads(threads)
    parted: Any = {"label": label, "train": train, "drop": options.columns_of(drop), "group": group, "size": size}
    rows = chosen.rows if limit is None else limit
    dataset = read_parted(data, rows, seed, **parted)
    tell_data(dataset)
    typer.echo(told(dataset, rows), err=True)
    with shares() as tell:
        hardened = run(
            names[0], dataset, out, methods=method, weights=weights, options=_options(option), epochs=epochs, eps=eps,
            from_scratch=from_scratch, plan=chosen, limit=limit, seed=seed, device=device, title=title,
            command=command_line(), on_progress=lambda model, step, share: tell(f"{model}: {step}", share),
        )  # fmt: skip
    Console().print(table(hardened))
    for line in filter(None, (most_robust(hardened.record), *chosen_epochs(hardened))):
        typer.echo(line)
    typer.echo(f"report: {out / 'report.html'}")
    typer.echo(f"audit one alone: {_again(names[0], out / list(hardened.models)[-1], dataset, data)}")
    finish(hardened.of_methods, out, limits, {}, strict=strict, baseline=None, earlier=None)


def _again(model: str, folder: Path, dataset: Dataset, data: str) -> str:
    """The command that audits the network in `folder`: on the same rows, or on others where all had been split."""
    from trustworthy.report.hardening.rows import SPLIT

    trust = [] if model.startswith("trustworthy.nn") else ["--trust"]
    rows = "ROWS" if SPLIT in dataset.provenance else data
    given = ["audit", str(folder), *trust, "--data", rows, "--out", f"{folder}-audit"]
    return shlex.join(["trustworthy", *given])


def _options(texts: list[str] | None) -> dict[str, Any]:
    """Arguments of the factory: numbers, truth values and lists as JSON writes them, everything else as a text."""
    options: dict[str, Any] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidInput(f"option must be NAME=VALUE, an argument of the factory, such as width=8, got {text!r}.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options
