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
MEANING: dict[str, dict[str, str]] = {
    "What may come in": {
        "max_file_bytes": "Largest file that can be uploaded",
        "max_files": "Most images in one upload, those of an archive too",
        "max_pixels": "Most pixels of one image, over all its planes and channels",
        "max_ratio": "By how much an archive may grow when it is unpacked",
        "links": "Images may be fetched from a link",
        "link_hosts": "Hosts from which links may fetch",
    },
    "Where things are": {
        "data_dir": "Folder that holds everything",
        "database_url": "Database",
        "free_bytes": "Space on the disk that always stays free",
        "host": "Address at which the pages are served",
        "port": "Port of that address",
    },
    "How jobs run": {
        "device": "Where jobs run: auto, cpu, cuda, cuda:1",
        "threads": "Processors that a job uses; by default half of them",
        "attempts": "How often a job that breaks off is tried",
        "lease_seconds": "After this long without a sign of life, a job is given to another worker",
        "beat_seconds": "Time between signs of life",
        "stall_seconds": "Without progress for this long, a job is stopped",
    },
}
"""Every setting, in words, by what it is about."""


@page.get("/settings")
def show() -> str:
    settings = studio().settings
    groups = {
        title: [(name, words, _shown(name, settings)) for name, words in members.items()]
        for title, members in MEANING.items()
    }
    return render_template("settings/settings.html", groups=groups, file=settings.data_dir / FILE, prefix=PREFIX)


@page.post("/settings/link")
def link() -> str:
    return render_template("settings/link.html", link=auth.new_link(studio().settings))


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
    return (
        f"{value:,}"
        if isinstance(value, int) and name != "port"
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
