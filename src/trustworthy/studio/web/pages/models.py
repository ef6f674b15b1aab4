"""Trained models: what they are, what they are applied to, and how they leave the studio."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Response

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.intake.adding import file_of
from trustworthy.studio.jobs.states import ENDED
from trustworthy.studio.jobs.submitting import submit_prediction
from trustworthy.studio.training.control import CONTROLS, STUDIO_METHODS
from trustworthy.studio.training.record import METRICS
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found
from trustworthy.studio.zoo import zoo_package

page = Blueprint("models", __name__)


@page.get("/models")
def index() -> str:
    """All models, the newest first."""
    with studio().database.reading() as session:
        models = session.scalars(select(Model).order_by(Model.created.desc())).all()
        return render_template("models/index.html", models=models, methods=_methods(), metrics=METRICS)


@page.get("/models/<model_id>")
def model(model_id: str) -> str:
    """One model; `project` in the address says whose images it may be applied to, its own if nothing does."""
    with studio().database.reading() as session:
        shown = found(session, Model, model_id)
        project = found(session, Project, request.args.get("project") or shown.project_id)
        return render_template(
            "models/model.html", model=shown, images=_applicable(session, project), learnt=_learnt(session, shown),
            chosen=project,
            projects=session.scalars(select(Project).order_by(Project.name)).all(), metrics=METRICS,
            methods=_methods(), controls=CONTROLS.values(), job=session.get(Job, shown.job_id or ""),
            has_zoo=importlib.util.find_spec("bioimageio") is not None,
            has_files=studio().storage.model(shown.id).is_dir(),
        )  # fmt: skip


@page.post("/models/<model_id>/apply")
def apply(model_id: str) -> Response:
    """Queue its application to the chosen images."""
    here = studio()
    with here.database.session() as session:
        name = request.form.get("name", "").strip()
        images = request.form.getlist("images")
        job = submit_prediction(session, here.storage, model_id, images, name)
    flash("The images are in the queue.", "success")
    return redirect(f"/jobs/{job.id}")


@page.get("/models/<model_id>/start")
def start(model_id: str) -> Response:
    """To the control panel of the chosen project, with this model as the start."""
    with studio().database.reading() as session:
        project = found(session, Project, request.args.get("project", ""))
        return redirect(f"/projects/{project.id}/train?start_from={found(session, Model, model_id).id}")


@page.get("/models/<model_id>/download")
def download(model_id: str) -> Response:
    """Its folder as a zip: weights as safetensors, all else as JSON."""
    with studio().database.reading() as session:
        sent = found(session, Model, model_id)
    name = _file_name(sent)
    return _sent(_packed(_files(sent), name), f"{name}.zip")


@page.post("/models/<model_id>/zoo")
def zoo(model_id: str) -> Response:
    """Its package for the BioImage Model Zoo, tested while the visitor waits."""
    with studio().database.reading() as session:
        sent = found(session, Model, model_id)
        sources = select(Image).filter_by(project_id=sent.project_id, role="source").order_by(Image.name)
        source = session.scalar(sources.limit(1))
    with tempfile.TemporaryDirectory() as place:
        told, file = sent.about.get("methods", ""), Path(place) / "package.zip"
        package = zoo_package(_files(sent), file, name=sent.name, description=told, sample=_plane(source))
        packed = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
        with package.open("rb") as stream:
            shutil.copyfileobj(stream, packed)
    return _sent(packed, f"{_file_name(sent)}-bioimageio.zip")


@page.post("/models/<model_id>/rename")
def rename(model_id: str) -> Response:
    name = request.form.get("name", "").strip()
    if not 0 < len(name) <= 200:
        raise InvalidInput(f"name of a model must have 1 to 200 characters, got {len(name)}; write another one.")
    with studio().database.session() as session:
        found(session, Model, model_id).name = name
    return redirect(url_for("models.model", model_id=model_id))


@page.post("/models/<model_id>/delete")
def delete(model_id: str) -> Response:
    """For good; not while a job is to use it."""
    with studio().database.session() as session:
        gone = found(session, Model, model_id)
        if any(_uses(job, gone) for job in session.scalars(select(Job).where(Job.status.not_in(ENDED)))):
            raise InvalidInput(f"model {gone.name!r} is used by a job that has not ended; cancel the job first.")
        session.delete(gone)
    studio().storage.remove(studio().storage.model(model_id))
    flash("The model is deleted. Results that it has made stay.", "success")
    return redirect(url_for("models.index"))


def _plane(image: Image | None) -> np.ndarray | None:
    """The first plane of an image, if there is one and its file is where it was."""
    if image is None or not (file := file_of(studio().storage, image)).is_file():
        return None
    with open_image(file, Description(**image.description)) as opened:
        return np.array(opened.plane(0))


def _uses(job: Job, model: Model) -> bool:
    return model.id in (job.model_id, (job.settings.get("settings") or {}).get("start_from"))


def _applicable(session: Session, project: Project) -> list[tuple[Image, Description]]:
    """Images that may be sources, those that were brought for a model first."""
    rows = session.scalars(select(Image).where(Image.project_id == project.id, Image.role != "target"))
    ordered = sorted(rows, key=lambda image: (image.role != "new", image.name))
    return [(image, Description(**image.description)) for image in ordered]


def _learnt(session: Session, model: Model) -> set[str]:
    """Sources, by id, that its training saw; where that job is deleted, those that it would see now."""
    parts, job = ("train", "validation"), session.get(Job, model.job_id or "")
    if job is not None:
        return {place["source"]["id"] for place in job.settings.get("places", ()) if place["part"] in parts}
    return {*session.scalars(select(Pair.source_id).where(Pair.project_id == model.project_id, Pair.part.in_(parts)))}


def _methods() -> dict[str, str]:
    """Names of the methods, without what is said of them."""
    return {name: words.partition(":")[0] for name, words in STUDIO_METHODS.items()}


def _file_name(model: Model) -> str:
    return f"{secure_filename(model.name)[:80] or 'model'}-{model.id[:6]}"


def _files(model: Model) -> Path:
    """Its folder. Raises NotFound where it is gone."""
    folder = studio().storage.model(model.id)
    if not folder.is_dir():
        raise NotFound("The files of this model are not there any more.")
    return folder


def _sent(file: IO[bytes], name: str) -> Response:
    file.seek(0)
    return send_file(file, mimetype="application/zip", as_attachment=True, download_name=name)


def _packed(folder: Path, name: str) -> IO[bytes]:
    """A zip of a folder, in a file that is gone when it is closed; weights do not get smaller by compression."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path(name) / path.relative_to(folder))
    return file
