"""What came out of a job: metrics beside baselines, images ranked by doubt, the viewer, and what is taken home."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL.Image
from flask import Blueprint, flash, redirect, render_template, request, send_file
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from trustworthy.studio.db.tables import Job, Model
from trustworthy.studio.training.record import FILE, METRICS, ImageResult, Result, load_result
from trustworthy.studio.web import paging
from trustworthy.studio.web.charts import SCALES, Calibration, palette
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found

page = Blueprint("results", __name__)
DOWNLOADS: dict[str, tuple[str, str]] = {
    "zip": ("download.zip", "Everything (zip)"),
    "metrics": ("metrics.csv", "Metrics (CSV)"),
    "report": ("report.html", "Report (HTML)"),
    "configuration": ("configuration.json", "Configuration that reruns it (JSON)"),
}
NOTES: dict[str, str] = {
    "source": "what was given",
    "target": "what was measured",
    "prediction": "what the model says",
    "uncertainty": "how much it doubts",
    "error": "prediction beside target",
    "mask": "not to be trusted",
}
TIFF = ".ome.tif"


@page.get("/jobs/<job_id>/results")
def index(job_id: str) -> str | Response:
    """Summary, ranking, calibration, and downloads."""
    with studio().database.reading() as session:
        job, result = _finished(session, job_id)
        if result is None:
            flash("This job has no results yet.", "info")
            return redirect(f"/jobs/{job.id}")
        shown = paging.paging(len(result.images))
        return render_template(
            "results/index.html", job=job, project=job.project, result=result, model=_model(session, job),
            metrics=METRICS, images=result.images[shown.first :][: paging.SIZE], shown=shown,
            downloads=[each for each in DOWNLOADS.items() if (_folder(job) / each[1][0]).is_file()],
            calibration=Calibration(result.calibration) if result.calibration else None,
        )  # fmt: skip


@page.get("/jobs/<job_id>/results/<folder>")
def viewer(job_id: str, folder: str) -> str:
    """One image: its pictures side by side."""
    with studio().database.reading() as session:
        job, result, image = _image(session, job_id, folder)
        place = result.images.index(image)
        plane = min(max(request.args.get("plane", 1, type=int), 1), image.planes) - 1
        compared = ("prediction", "target" if "target" in image.roles else "source")
        return render_template(
            "results/viewer.html", job=job, project=job.project, result=result, image=image, place=place, plane=plane,
            metrics=METRICS, notes=NOTES, scales=SCALES, compared=compared,
            files=sorted(_files(job, image)),
            before=result.images[place - 1] if place else None,
            after=result.images[place + 1] if place + 1 < len(result.images) else None,
        )  # fmt: skip


@page.get("/jobs/<job_id>/results/<folder>/<int:plane>/<role>.png")
def preview(job_id: str, folder: str, plane: int, role: str) -> Response:
    """A picture of a plane, from 0; uncertainty and error in colours unless `grey` is asked for."""
    with studio().database.reading() as session:
        job, _, image = _image(session, job_id, folder)
    if role not in image.roles or plane >= image.planes:
        raise NotFound
    file = _folder(job) / "previews" / f"{image.folder}-{plane}-{role}.png"
    if role not in SCALES:
        return send_file(file, mimetype="image/png", max_age=3600)
    with PIL.Image.open(file) as opened:
        values, written = np.asarray(opened), io.BytesIO()
    picture = PIL.Image.fromarray(values if values.ndim == 2 else values.max(2))  # of three channels, the worst one
    if "grey" not in request.args:
        picture.putpalette(palette(role))
    picture.save(written, "PNG")
    written.seek(0)
    return send_file(written, mimetype="image/png", max_age=3600)


@page.get("/jobs/<job_id>/results/<folder>/<role>.ome.tif")
def picture(job_id: str, folder: str, role: str) -> Response:
    """A result of one image, in the units of the target."""
    with studio().database.reading() as session:
        job, _, image = _image(session, job_id, folder)
    file = _files(job, image).get(role)
    if file is None:
        raise NotFound
    return send_file(file, mimetype="image/tiff", as_attachment=True, download_name=f"{image.folder}-{file.name}")


@page.get("/jobs/<job_id>/results/download/<which>")
def download(job_id: str, which: str) -> Response:
    """A file of the result to take home."""
    with studio().database.reading() as session:
        job, result = _finished(session, job_id)
    if result is None or which not in DOWNLOADS or not (file := _folder(job) / DOWNLOADS[which][0]).is_file():
        raise NotFound
    return send_file(file, as_attachment=True, download_name=f"{job.id[:6]}-{file.name}")


def _folder(job: Job) -> Path:
    return studio().storage.result(job.id)


def _files(job: Job, image: ImageResult) -> dict[str, Path]:
    """What was written of an image, by role, the prediction in its own type and in that of the target."""
    folder = _folder(job) / "images" / image.folder
    return {file.name.removesuffix(TIFF): file for file in folder.glob("*" + TIFF)}


def _finished(session: Session, job_id: str) -> tuple[Job, Result | None]:
    """A job, and what it has published so far."""
    job = found(session, Job, job_id)
    file = _folder(job) / FILE
    return job, _read(file.parent, file.stat().st_mtime_ns) if file.is_file() else None


@lru_cache(maxsize=8)
def _read(folder: Path, changed: int) -> Result:
    """Once for all pictures of a page."""
    return load_result(folder)


def _image(session: Session, job_id: str, folder: str) -> tuple[Job, Result, ImageResult]:
    """The image of a result whose files are in `folder`: a name that is not in the record is no path."""
    job, result = _finished(session, job_id)
    for image in result.images if result else ():
        if image.folder == folder and result:
            return job, result, image
    raise NotFound("There is no such image in this result.")


def _model(session: Session, job: Job) -> Model | None:
    """That the job has trained, or was asked to apply."""
    return session.get(Model, job.model_id or job.id)
