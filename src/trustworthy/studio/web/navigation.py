"""What every page shows around its content: the rooms, where one is, and the steps of the project."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, request, url_for
from werkzeug.wrappers import Response

from trustworthy import __version__
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.steps import Step, steps_of

ROOMS = (
    ("Projects", "/"), ("Jobs", "/jobs"), ("Models", "/models"), ("Examples", "/repository"), ("Help", "/help"),
    ("System", "/system"),
)  # fmt: skip


def here(url: str) -> bool:
    """Whether the page that is shown lies in this room."""
    path = request.path
    return path == "/" or path.startswith("/projects") if url == "/" else path == url or path.startswith(url + "/")


def steps(project_id: str) -> list[Step]:
    """Of a project, as they are now."""
    with studio().database.reading() as session:
        return steps_of(session, studio().storage, project_id)


def add_navigation(app: Flask) -> None:
    """`rooms`, `here`, `steps` and `version` in every template, and the icon that browsers ask for unasked."""

    @app.context_processor
    def around() -> dict[str, Any]:
        return {"rooms": ROOMS, "here": here, "steps": steps, "version": __version__}

    @app.get("/favicon.ico")
    def favicon() -> Response:
        return redirect(url_for("static", filename="favicon.svg"))
