"""`trustworthy data`: which data sets there are, getting them, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trustworthy.datasets import Dataset

app = typer.Typer(no_args_is_help=True, help="List, fetch and locate data sets.")


@app.command("list")
def list_sets() -> None:
    """List every known data set and whether it is at hand."""
    from rich.console import Console
    from rich.table import Table

    from trustworthy import datasets

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("at hand", no_wrap=True)
    table.add_column("what it is")
    for name in datasets.names():
        table.add_row(name, datasets.state(name), datasets.summary(name))
    Console(soft_wrap=False).print(table)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets of `trustworthy data list`.")],
    refresh: Annotated[bool, typer.Option("--refresh", help="Fetch again what is in the cache already.")] = False,
) -> None:
    """Fetch data sets into the cache."""
    from trustworthy import datasets

    for name, origin in datasets.get(*names, refresh=refresh).items():
        typer.echo(f"{name}: {origin}")


@app.command()
def where(name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of `trustworthy data list`.")]) -> None:
    """Print the file or folder that a data set is read from."""
    from trustworthy import datasets

    found = datasets.where(name)
    if found is None and datasets.state(name) == "bundled":
        typer.echo("inside the scikit-learn package")
        return
    if found is None:
        typer.echo(f"{name} is not at hand; {datasets.how(name)}.", err=True)
        raise typer.Exit(1)
    typer.echo(found)


def tell_data(dataset: Dataset) -> None:
    """Say how the user's own data were read, before anything is measured."""
    if dataset.available:
        typer.echo(f"data: {dataset.name}, {dataset.available:,} rows. {dataset.provenance}", err=True)


if __name__ == "__main__":
    app()
