"""`trustworthy studio`: pages on which people who do not program train models on their images and use them."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trustworthy.core.errors import InvalidInput

if TYPE_CHECKING:
    from typer import Context

    from trustworthy.studio.settings import Settings
else:
    Context = typer.Context.__bases__[0]  # the class of what typer hands over, which is none of its own

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder that keeps everything; ~/trustworthy-studio unless given.", show_default=False
    ),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file with settings.", show_default=False)]
Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to serve; 127.0.0.1 unless given.")]
Port = Annotated[int | None, typer.Option(metavar="N", help="Port; 8420 unless given, 0 for a free one.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="Of jobs: auto, cpu, cuda, cuda:1.")]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the link in a browser, where there is a screen.")]

app = typer.Typer(help="Train and use models on a page: see the command without a subcommand.")
db = typer.Typer(no_args_is_help=True, help="The database of the studio.")
app.add_typer(db, name="db")


@app.callback(invoke_without_command=True)
def studio(
    ctx: Context,
    data_dir: DataDir = None,
    port: Port = None,
    host: Host = None,
    config: Config = None,
    device: Device = None,
    open_: Open = True,
) -> None:
    """Start the studio: its pages and one worker. Prints a link that lets one browser in."""
    from trustworthy.core.extras import required

    required("flask", "the studio")
    ctx.obj = {"data_dir": data_dir, "port": port, "host": host, "file": config, "device": device}
    if ctx.invoked_subcommand is None:
        _serve(_settings(ctx), open_)


@app.command()
def web(
    ctx: Context,
    data_dir: DataDir = None,
    port: Port = None,
    host: Host = None,
    config: Config = None,
    open_: Open = True,
) -> None:
    """Serve the pages alone; `studio worker` does the jobs."""
    _serve(_settings(ctx, data_dir=data_dir, port=port, host=host, file=config), open_, worker=False)


@app.command()
def worker(
    ctx: Context,
    data_dir: DataDir = None,
    config: Config = None,
    device: Device = None,
    supervised: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Do jobs, one at a time; several workers may share a studio."""
    from trustworthy.studio.serving import work

    work(_settings(ctx, data_dir=data_dir, file=config, device=device), supervised)


@app.command()
def rerun(
    ctx: Context,
    configuration: Annotated[Path, typer.Argument(metavar="configuration.json", help="Of a result's download.zip.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Queue the job of a result again, on the same images of this studio, with the same settings and seed."""
    from trustworthy.studio.db.database import Database
    from trustworthy.studio.jobs.submitting import submit_again
    from trustworthy.studio.storage import Storage
    from trustworthy.studio.training.packing import read_configuration

    task, settings = read_configuration(configuration), _settings(ctx, data_dir=data_dir, file=config)
    database = Database(settings.url)
    if database.is_sqlite and not (settings.data_dir / "studio.sqlite").exists() and settings.database_url is None:
        raise InvalidInput(f"there is no studio in {settings.data_dir}; name the folder of yours by --data-dir.")
    database.upgrade()
    with database.session() as session:
        job = submit_again(session, Storage(settings.data_dir, settings.free_bytes), task)
    typer.echo(f"queued as job {job.id} of {task.project_name!r}; a studio or a worker with this data folder does it")


@app.command()
def doctor(ctx: Context, data_dir: DataDir = None, config: Config = None) -> None:
    """Say what the studio has to work with: versions, disk, database, device and why it is that one."""
    from trustworthy.studio.system import report

    for line in report(_settings(ctx, data_dir=data_dir, file=config)):
        typer.echo(line)


@db.command()
def upgrade(ctx: Context, data_dir: DataDir = None, config: Config = None) -> None:
    """Bring the tables to the newest version; starting the studio does so too."""
    from trustworthy.studio.db.database import Database

    settings = _settings(ctx, data_dir=data_dir, file=config)
    Database(settings.url).upgrade()
    typer.echo(f"{settings.data_dir}: the tables are of the newest version")


def _settings(ctx: Context, **flags: Any) -> Settings:
    """From the flags of a command, those before it, the environment and the file."""
    from trustworthy.studio.settings import load_settings

    given = {name: value for name, value in flags.items() if value is not None}
    return load_settings(**{**ctx.obj, **given})


def _serve(settings: Settings, open_: bool, worker: bool = True) -> None:
    from trustworthy.studio.serving import serve

    def tell(link: str) -> None:
        typer.echo(f"\n  The studio is open. This link lets one browser in, once:\n\n    {link}\n")
        typer.echo(
            f"  Everything is kept in {settings.data_dir}. Ctrl-C stops the studio; jobs go on at the next start.\n"
        )
        if open_ and _has_screen():
            webbrowser.open(link)

    serve(settings, tell, worker)


def _has_screen() -> bool:
    return sys.stdout.isatty() and (sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY")))
