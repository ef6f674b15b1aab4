"""The web application: `create_app(settings)`; every module of `pages` brings a blueprint called `page`."""

from __future__ import annotations

import importlib
import pkgutil
import secrets
from pathlib import Path

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_wtf import CSRFProtect

from trustworthy.studio.db.database import Database
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage
from trustworthy.studio.web import auth, pages
from trustworthy.studio.web.current import Studio
from trustworthy.studio.web.errors import handle_errors
from trustworthy.studio.web.headers import add_headers
from trustworthy.studio.web.navigation import add_navigation
from trustworthy.studio.web.words import add_words

SECRET = "secret"


def create_app(settings: Settings) -> Flask:
    """The application over the tables of `settings.url`, which `Database.upgrade` has made."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=_secret(settings.data_dir / SECRET),
        BOOTSTRAP_SERVE_LOCAL=True,
        MAX_FORM_PARTS=10_000,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        WTF_CSRF_TIME_LIMIT=None,
    )
    storage = Storage(settings.data_dir, settings.free_bytes)
    app.extensions["studio"] = Studio(settings, Database(settings.url), storage)
    Bootstrap5(app)
    CSRFProtect(app)
    auth.guard(app, settings)
    handle_errors(app)
    add_headers(app)
    add_words(app)
    add_navigation(app)
    for module in pkgutil.iter_modules(pages.__path__):
        app.register_blueprint(importlib.import_module(f"{pages.__name__}.{module.name}").page)
    return app


def _secret(file: Path) -> str:
    """Made once, for this user alone to read: a new one would end all sessions."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32), encoding="utf-8")
    return file.read_text(encoding="utf-8")
