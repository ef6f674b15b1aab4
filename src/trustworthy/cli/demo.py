"""`trustworthy demo`: two models, one report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import measure, set_threads


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")] = Path("trust-report"),
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="quick, standard (default) or thorough.")] = None,
    seed: options.Seed = 0,
    threads: options.Threads = None,
) -> None:
    """Train a plain and an adversarially trained network on real digits, and compare them in one report."""
    from trustworthy import datasets
    from trustworthy.report.demonstration import train_models

    set_threads(threads)
    data = datasets.load("digits")
    typer.echo("training two networks on scikit-learn's digits, one of them against PGD ...", err=True)
    models = train_models(data, seed)
    measure(models, data, out, profile=profile, seed=seed, title="Digits: a plain and an adversarially trained network")
