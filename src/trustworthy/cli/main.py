"""The command `trustworthy`. Heavy libraries are imported inside the commands, so that help comes at once."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trustworthy.cli import data
from trustworthy.cli.audit import audit
from trustworthy.cli.demo import demo
from trustworthy.cli.poison import poison
from trustworthy.core.errors import TrustworthyError, TrustworthyWarning

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Commands whose expected errors are one line on standard error and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("always", TrustworthyWarning)
            warnings.showwarning = _one_line
            try:
                return super().invoke(ctx)
            except TrustworthyError as error:
                if os.environ.get("TRUSTWORTHY_DEBUG"):
                    raise
                typer.secho(f"error: {error}", fg="red", err=True)
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                typer.echo("interrupted; the same command goes on where it stopped.", err=True)
                raise typer.Exit(INTERRUPTED) from None


def _one_line(message: Warning | str, *rest: Any) -> None:
    typer.secho(f"warning: {message}", fg="yellow", err=True)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Can I depend on this machine-learning model? Robustness, uncertainty and interpretation, measured.",
    epilog="Exit codes: 0 all is well, 1 a --fail-under limit is not met, 2 the command or its input is wrong.",
)
app.command()(audit)
app.command()(demo)
app.command()(poison)
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> bool:
    if wanted:
        from trustworthy import __version__

        typer.echo(__version__)
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    sys.exit(main())
