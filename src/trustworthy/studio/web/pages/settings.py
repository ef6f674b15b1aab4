"""Settings: how this studio is set and where that is changed, a link for another browser, and the way out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, session, url_for
from werkzeug.wrappers import Response

from trustworthy.studio import system
from trustworthy.studio.settings import FILE, PREFIX, Settings
from trustworthy.studio.web import auth
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.words import duration, size

page = Blueprint("settings", __name__)
GROUPS = {
    "What may come in": ("max_file_bytes", "max_files", "max_pixels", "max_ratio", "links", "link_hosts"),
    "Where things are": ("data_dir", "database_url", "free_bytes", "host", "network", "port"),
    "How jobs run": ("device", "threads", "attempts", "lease_seconds", "beat_seconds", "stall_seconds"),
}
"""Every setting, by what it is about."""


@page.get("/settings")
def show(link: str = "") -> str:
    settings = studio().settings
    groups = {
        title: [(name, Settings.model_fields[name].description, _shown(name, settings)) for name in names]
        for title, names in GROUPS.items()
    }
    file = settings.data_dir / FILE
    return render_template("settings/settings.html", link=link, groups=groups, file=file, prefix=PREFIX)


@page.post("/settings/link")
def link() -> str:
    return show(auth.new_link(studio().settings))


@page.post("/settings/leave")
def leave() -> Response:
    session.clear()
    return redirect(url_for("projects.index"))


def _shown(name: str, settings: Settings) -> str:
    value: Any = getattr(settings, name)
    if name == "database_url":
        return system.database_words(settings.url)
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("_seconds"):
        return duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if value is None:
        return "by default"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and name != "port" else str(value)
