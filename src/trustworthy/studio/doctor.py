"""What a studio has to work with: versions, folder, database, device and why it is that one, formats, jobs."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections import Counter

import torch
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select

from trustworthy import __version__
from trustworthy.studio.db.database import MIGRATIONS, Database
from trustworthy.studio.db.tables import Job
from trustworthy.studio.jobs.states import QUEUE, RUN
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage

FORMATS = {"czifile": "CZI", "nd2": "ND2", "liffile": "LIF", "bioimageio.core": "BioImage Model Zoo"}


def examine(settings: Settings) -> dict[str, str]:
    """What there is, in words, by what it is. The database is read and never altered."""
    storage = Storage(settings.data_dir, settings.free_bytes)
    return {
        "versions": f"trustworthy {__version__}, Python {platform.python_version()}, torch {torch.__version__}",
        "folder": f"{settings.data_dir}, {storage.free / 1e9:.1f} GB may be written",
        **_database(settings),
        "device": f"{_device(settings.device)}; {_threads(settings)}",
        "formats": _formats(),
    }


def _database(settings: Settings) -> dict[str, str]:
    database = Database(settings.url)
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    try:
        with database.engine.connect() as connection:
            version = MigrationContext.configure(connection).get_current_revision()
        if version != newest:
            told = (
                f"version {version or 'none'}, and {newest} is the newest; `trustworthy studio db upgrade` brings it up"
            )
            return {"database": f"{database.engine.url!r}, {told}"}
        with database.reading() as session:
            counts = Counter(dict(session.execute(select(Job.status, func.count()).group_by(Job.status)).tuples()))
    finally:
        database.close()
    return {
        "database": f"{database.engine.url!r}, version {version}",
        "jobs": f"{counts[QUEUE]} in the queue, {counts[RUN]} running, {counts.total()} in all",
    }


def _device(wanted: str) -> str:
    """Which device jobs run on, and why no graphics card is used where none is."""
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return f"{wanted}; graphics cards: {names}"
    why = (
        "this torch was built without CUDA; pytorch.org has the command that installs one with it"
        if torch.version.cuda is None
        else f"this torch was built for CUDA {torch.version.cuda}, and finds no NVIDIA driver or card"
    )
    return f"{'cpu' if wanted == 'auto' else wanted}; no graphics card, because {why}"


def _threads(settings: Settings) -> str:
    return f"{settings.job_threads} of {os.cpu_count()} processors for a job"


def _formats() -> str:
    missing = [name for module, name in FORMATS.items() if importlib.util.find_spec(module.split(".")[0]) is None]
    found = ", ".join(["TIFF", "OME-TIFF", "PNG", *(name for name in FORMATS.values() if name not in missing)])
    return found + (f"; for {', '.join(missing)}: pip install 'trustworthy[bio]'" if missing else "")
