"""The command `trustworthy`. Heavy libraries are imported inside the commands, so that help comes at once."""

from __future__ import annotations

import errno
import os
import sys
import textwrap
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trustworthy.cli import benchmark, data, studio
from trustworthy.cli.audit import audit
from trustworthy.cli.compare import compare
from trustworthy.cli.demo import demo
from trustworthy.cli.explain import explain
from trustworthy.cli.harden import harden
from trustworthy.cli.poison import poison
from trustworthy.cli.render import render
from trustworthy.core.errors import TrustworthyError, TrustworthyWarning

WRONG_INPUT, CRASHED, INTERRUPTED = 2, 4, 130


class _Commands(TyperGroup):
    """Commands whose errors are one line on standard error: exit code 2 for what they expect, 4 for all else."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("always", TrustworthyWarning)
            warnings.showwarning = _one_line
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                typer.echo("interrupted; the same command goes on where it stopped.", err=True)
                raise typer.Exit(INTERRUPTED) from None
            except Exception as error:
                if _is_the_shell_s(error):
                    raise
                raise typer.Exit(_told(error)) from None


def _is_the_shell_s(error: Exception) -> bool:
    """Whether typer itself must see it: an exit, a misspelt option, a reader that has gone (`| head`)."""
    of_typer = type(error).__module__.partition(".")[0] in ("typer", "click")
    return of_typer or (isinstance(error, OSError) and error.errno == errno.EPIPE)


def _told(error: Exception) -> int:
    """Say what happened in one line, after the traceback where TRUSTWORTHY_TRACEBACK asks for it; the exit code."""
    wanted = os.environ.get("TRUSTWORTHY_TRACEBACK")
    if wanted:
        traceback.print_exception(error)
    if isinstance(error, TrustworthyError):
        typer.secho(f"error: {error}", fg="red", err=True)
        return WRONG_INPUT
    said = textwrap.shorten(str(error), 300).rstrip(".") or "no message"
    where = "" if wanted else " TRUSTWORTHY_TRACEBACK=1 shows where."
    typer.secho(f"crashed: {type(error).__name__}: {said}.{where}", fg="red", err=True)
    return CRASHED


def _one_line(message: Warning | str, *rest: Any) -> None:
    typer.secho(f"warning: {message}", fg="yellow", err=True)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Can I depend on this machine-learning model? Robustness, uncertainty and interpretation, measured.",
    epilog="Exit codes: 0 all is well, 1 a limit is not met or a finding got worse, 2 the command or its input is "
    "wrong, 3 it cannot be told whether a limit is met (1 with --strict), 4 a crash.",
)
app.command()(audit)
app.command()(compare)
app.command()(demo)
app.command()(explain)
app.command()(harden)
app.command()(render)
app.command()(poison)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(data.app, name="data")
app.add_typer(studio.app, name="studio")


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
