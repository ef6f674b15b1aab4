"""The data repository: examples that are ready to use, and from one of them to a finished result by one click."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from flask import Blueprint, Response, flash, redirect, render_template, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as Answer

from trustworthy.core.errors import DataUnavailable
from trustworthy.studio.examples import EXAMPLES, QUICK, use_example
from trustworthy.studio.images.preview import preview
from trustworthy.studio.jobs.submitting import submit_training
from trustworthy.studio.web.current import studio

page = Blueprint("repository", __name__)
SIDE = 256


@page.get("/repository")
def index() -> str:
    return render_template("repository/index.html", examples=EXAMPLES.values())


@page.get("/repository/<path:name>/<any(source, target):role>.png")
def picture(name: str, role: str) -> Response:
    """The first image of an example."""
    if name not in EXAMPLES:
        raise NotFound("There is no such example.")
    try:
        shown = _pictures(name)[role]
    except DataUnavailable as error:
        raise NotFound(str(error)) from error
    return Response(shown, mimetype="image/png", headers={"Cache-Control": "private, max-age=3600"})


@lru_cache(maxsize=len(EXAMPLES))
def _pictures(name: str) -> dict[str, bytes]:
    pairs = EXAMPLES[name].first()
    planes = {"source": pairs.source[0], "target": pairs.target[0]}
    return {role: preview(plane, *np.quantile(plane, (0.005, 0.995)), side=SIDE) for role, plane in planes.items()}


@page.post("/repository/<path:name>/use")
def use(name: str) -> Answer:
    """A project to look around in."""
    project = use_example(studio().database, studio().storage, studio().settings, name)
    flash(f"“{project.name}” is a project now; its images are paired and split.", "success")
    return redirect(url_for("pairs.check", project_id=project.id))


@page.post("/repository/<path:name>/try")
def try_it(name: str) -> Answer:
    """A project, and a training that is soon done."""
    project = use_example(studio().database, studio().storage, studio().settings, name)
    with studio().database.session() as session:
        job = submit_training(session, studio().storage, project.id, QUICK, f"{project.name}, quick")
    return redirect(f"/jobs/{job.id}")
