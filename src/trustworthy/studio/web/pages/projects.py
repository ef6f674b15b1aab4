"""Projects: create and retrieve (Figure 6.2), edit, and delete with everything in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project, Upload, counted
from trustworthy.studio.jobs.states import ENDED
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found
from trustworthy.studio.words import many

page = Blueprint("projects", __name__)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
LONGEST = {"name": 200, "description": 5000, "email": 254}
CONTENTS = {"image": Image, "pair": Pair, "job": Job, "model": Model}


@dataclass
class Form:
    """What a person wrote, and what is wrong with it, by field."""

    values: dict[str, str | None] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


@page.get("/")
def index() -> str:
    wanted = request.args.get("q", "").strip()
    with studio().database.reading() as session:
        chosen = select(Project).order_by(Project.created.desc())
        if wanted:
            chosen = chosen.where(Project.name.icontains(wanted, autoescape=True))
        projects = session.scalars(chosen).all()
        images, jobs = (counted(session, table.project_id) for table in (Image, Job))
    return render_template("projects/index.html", projects=projects, images=images, jobs=jobs, wanted=wanted)


@page.get("/projects/new")
def new() -> str:
    return render_template("projects/edit.html", form=Form())


@page.post("/projects/new")
def create() -> Response | tuple[str, int]:
    form = _read(request.form)
    if form.faults:
        return render_template("projects/edit.html", form=form), 400
    with studio().database.session() as session:
        project = Project(**form.values)
        session.add(project)
        session.flush()
        return redirect(f"/projects/{project.id}/data")


@page.get("/projects/<project_id>")
def overview(project_id: str) -> str:
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        jobs = session.scalars(
            select(Job).where(Job.project_id == project_id).order_by(Job.created.desc()).limit(5)
        ).all()
        models = session.scalars(
            select(Model).where(Model.project_id == project_id).order_by(Model.created.desc())
        ).all()
    return render_template("projects/overview.html", project=project, jobs=jobs, models=models)


@page.get("/projects/<project_id>/edit")
def edit(project_id: str) -> str:
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
    form = Form({name: getattr(project, name) for name in LONGEST})
    return render_template("projects/edit.html", form=form, project=project)


@page.post("/projects/<project_id>/edit")
def save(project_id: str) -> Response | tuple[str, int]:
    form = _read(request.form)
    with studio().database.session() as session:
        project = found(session, Project, project_id)
        if form.faults:
            return render_template("projects/edit.html", form=form, project=project), 400
        for name, value in form.values.items():
            setattr(project, name, value)
    flash("The project was saved.", "success")
    return redirect(url_for("projects.overview", project_id=project_id))


@page.get("/projects/<project_id>/delete")
def confirm(project_id: str) -> str:
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        counts = {
            word: sum(counted(session, table.project_id, table.project_id == project_id).values())
            for word, table in CONTENTS.items()
        }
    held = ", ".join(many(count, word) for word, count in counts.items() if count) or "The project is empty"
    uploaded = ", the images as they were uploaded too" if counts["image"] else ""
    words = f"{held} will be deleted for good{uploaded}. Nobody can bring this back."
    back = url_for("projects.overview", project_id=project_id)
    return render_template("confirm.html", name=project.name, words=words, back=back, project=project)


@page.post("/projects/<project_id>/delete")
def delete(project_id: str) -> Response:
    """The rows first: should the files fail to go, nothing is left that points to them."""
    storage = studio().storage
    with studio().database.session() as session:
        project = found(session, Project, project_id)
        if any(job.status not in ENDED for job in project.jobs):
            raise InvalidInput("A job of this project is still under way; cancel it first, on its page under Jobs.")
        folders = [storage.project(project.id)]
        folders += [storage.job(job.id) for job in project.jobs] + [storage.model(model.id) for model in project.models]
        uploads = session.scalars(select(Upload.id).where(Upload.project_id == project.id)).all()
        session.delete(project)
    for folder in [*folders, *(storage.upload(upload) for upload in uploads)]:
        storage.remove(folder)
    flash(f"“{project.name}” was deleted, with its images, jobs and models.", "success")
    return redirect(url_for("projects.index"))


def _read(given: MultiDict[str, str]) -> Form:
    """The form as it was sent, and what is wrong with it."""
    form = Form({name: given.get(name, "").strip() for name in LONGEST})
    for name, longest in LONGEST.items():
        if len(form.values[name] or "") > longest:
            form.faults[name] = f"At most {longest} characters fit here; these are {len(form.values[name] or '')}."
    if not form.values["name"]:
        form.faults["name"] = "Give the project a name, such as “Nuclei from phase contrast”."
    if form.values["email"] and not EMAIL.fullmatch(form.values["email"]):
        form.faults["email"] = "This is no e-mail address; write one such as name@university.edu, or leave it empty."
    form.values["email"] = form.values["email"] or None
    return form
