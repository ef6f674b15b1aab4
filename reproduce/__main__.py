"""The command `python -m reproduce`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: a second BLAS thread slows small work down

import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from reproduce import claim as claims
from reproduce.runner import run
from reproduce.store import store
from reproduce.verdict import VERDICTS, judge
from trustworthy.core.errors import TrustworthyError
from trustworthy.core.progress import shares

app = typer.Typer(help="Tables and figures of the dissertation.", no_args_is_help=True, add_completion=False)
DOCS = Path(__file__).parent.parent / "docs"


@app.command("list")
def show() -> None:
    """Say what can be reproduced, and the verdicts of the committed records."""
    from reproduce.render import verdicts

    for claim, folder in claims.every():
        count = Counter(row.verdict for row in verdicts(claim, folder))
        found = ", ".join(f"{count[verdict]} {verdict}" for verdict in VERDICTS if count[verdict])
        typer.echo(f"{claim.name:12} {claim.title}\n{'':12} scales {', '.join(claim.scales)}; {found or 'no claims'}")


@app.command("run")
def measure(
    name: Annotated[str, typer.Argument(help="A name of `list`, or `all`.")],
    scale: Annotated[str, typer.Option(help="smoke (seconds), small (minutes), paper (the dissertation's).")] = "small",
    seed: Annotated[int | None, typer.Option(help="Default: the claim's; another has records of its own.")] = None,
    n_jobs: Annotated[int | None, typer.Option(help="Processes, for what can be spread.")] = None,
    only: Annotated[str, typer.Option(help="Pattern of cells, as mnist.*.")] = "*",
    again: Annotated[bool, typer.Option("--again", help="Measure finished cells again.")] = False,
    records: Annotated[Path | None, typer.Option(help="Folder of records; smoke: default a temporary one.")] = None,
) -> None:
    """Measure what is missing of a table or figure, and judge it."""
    for claim, folder in claims.every() if name == "all" else [claims.find(name)]:
        target = records or (Path(tempfile.mkdtemp()) if scale == "smoke" else folder / "records")
        with shares(of_all=True) as watch:
            found = run(
                claim,
                scale,
                store(target, claim.name, scale, None if seed in (None, claim.seed) else seed),
                seed=seed,
                n_jobs=n_jobs,
                only=only,
                again=again,
                watch=watch,
            )
        measured = {record.name: record for cell in found.values() for record in cell.records()}
        for record in measured.values():
            typer.echo(f"{claim.name} {record.name}: {record.value}")
        for cell_name, cell in found.items():
            if not cell.finished:
                typer.echo(f"{claim.name} {cell_name}: not run, {cell.common['conditions']['reason']}")
        count = Counter(row.verdict for row in judge(claim, measured))
        typer.echo(f"{claim.name}: " + ", ".join(f"{count[verdict]} {verdict}" for verdict in VERDICTS[:3]))


@app.command("render")
def write(docs: Annotated[Path, typer.Option(help="Folder of the documentation.")] = DOCS) -> None:
    """Write docs/reproduction.md from the committed records, without measuring anything."""
    from reproduce.render import render

    typer.echo(render(docs))


def main() -> None:
    """Run the command; what the user got wrong is one line, not a traceback."""
    try:
        app(standalone_mode=True)
    except TrustworthyError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
