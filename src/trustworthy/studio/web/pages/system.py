"""System: devices, disk, memory, the queue and versions."""

from __future__ import annotations

from flask import Blueprint, render_template

from trustworthy.studio import system
from trustworthy.studio.web.current import studio

page = Blueprint("system", __name__)


@page.get("/system")
def show() -> str:
    settings = studio().settings
    with studio().database.reading() as session:
        queue = system.queue(session, settings)
    return render_template(
        "system/system.html",
        device=system.device_words(settings.device),
        disk=system.disk(settings),
        memory=system.memory(),
        queue=queue,
        versions=system.versions(),
        database=system.database_words(settings.url),
        folder=settings.data_dir,
    )
