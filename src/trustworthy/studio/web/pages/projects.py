"""Projects: create and retrieve (Figure 6.2)."""

from __future__ import annotations

from flask import Blueprint, render_template
from sqlalchemy import select

from trustworthy.studio.db.tables import Project
from trustworthy.studio.web.app import studio

page = Blueprint("projects", __name__)


@page.get("/")
def index() -> str:
    with studio().database.reading() as session:
        found = session.scalars(select(Project).order_by(Project.created.desc())).all()
    return render_template("projects.html", projects=found)
