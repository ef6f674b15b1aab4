"""An engine and its sessions; what SQLite needs so that several processes can use it at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

BUSY_SECONDS = 30.0
MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Tables behind a URL. Only migrations make them: `upgrade` first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back by an error. What was loaded can be read afterwards."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads: it waits for no writer, and none waits for it."""
        engine = self.engine.execution_options(reading=True)
        with Session(engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def upgrade(self) -> None:
        """Bring the tables to the newest version; one process at a time."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        path = sqlalchemy.make_url(self.url).database
        lock = Path(path).with_suffix(".lock") if self.is_sqlite and path else None
        with FileLock(lock) if lock else nullcontext(), self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sqlalchemy.create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    """Readers beside one writer, foreign keys, and transactions that SQLAlchemy begins itself."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sqlalchemy.Connection) -> None:
    """Who writes takes the lock first: nothing that was read before can have been changed by another one."""
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
