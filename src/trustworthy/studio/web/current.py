"""The studio that answers a request: what every page works with."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from trustworthy.studio.db.database import Database
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage


@dataclass(frozen=True)
class Studio:
    """Its settings, tables and files."""

    settings: Settings
    database: Database
    storage: Storage


def studio() -> Studio:
    """That of the application that answers now."""
    return current_app.extensions["studio"]
