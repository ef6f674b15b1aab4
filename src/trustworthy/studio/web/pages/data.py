"""Images of a project: brought in chunks or by a plain form, shown, corrected and deleted."""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from trustworthy.core.errors import InvalidInput, TrustworthyError
from trustworthy.studio.db.tables import Image, Project, Upload, counted
from trustworthy.studio.images.description import Description
from trustworthy.studio.intake import uploads
from trustworthy.studio.intake.adding import ROLES, check_role, look_again, remove_image, statistics_of, thumbnail_of
from trustworthy.studio.intake.links import fetch
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found, in_words
from trustworthy.studio.web.paging import page_of

page = Blueprint("data", __name__)
TOLD = 5
"""Files that were refused whose reasons are told; of the others it is told how many they are."""
ROLE_WORDS = {
    "any": ("Unknown", "nobody knows yet"),
    "source": ("Source", "what you will always have"),
    "target": ("Target", "what is to be predicted"),
    "new": ("New", "to apply a model to"),
}
AXIS_WORDS = {"T": "time", "Z": "depth", "C": "channel", "Y": "height", "X": "width", "S": "colour"}
COUNTED = {"T": "moments", "Z": "depths", "C": "channels", "S": "colours"}


def in_short(description: dict[str, Any]) -> str:
    """Sizes of an image in words, such as "512 × 512 pixels, 5 depths, uint16"."""
    about = Description(**description)
    more = [f"{about.length(axis)} {word}" for axis, word in COUNTED.items() if about.length(axis) > 1]
    return ", ".join([f"{about.width} × {about.height} pixels", *more, about.dtype])


@page.get("/projects/<project_id>/data")
def index(project_id: str) -> str:
    role, wanted = request.args.get("role", ""), request.args.get("q", "").strip()
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        counts = dict.fromkeys(ROLES, 0) | counted(session, Image.role, Image.project_id == project_id)
        images, shown = page_of(session, _chosen(project_id, role, wanted).order_by(Image.name, Image.id))
        waiting = session.scalars(select(Upload).filter_by(project_id=project_id).order_by(Upload.created)).all()
        received = [(upload, uploads.received(studio().storage, upload)) for upload in waiting]
    settings = studio().settings
    return render_template(
        "data/index.html", project=project, images=images, shown=shown, counts=counts, role=role, wanted=wanted,
        waiting=received, links=settings.links, hosts=settings.link_hosts, limit=settings.max_file_bytes,
        chunk=uploads.CHUNK, roles=ROLE_WORDS, in_short=in_short,
    )  # fmt: skip


def _chosen(project_id: str, role: str, wanted: str) -> Select[Image]:
    chosen = select(Image).filter_by(project_id=project_id)
    chosen = chosen.filter_by(role=role) if role in ROLES else chosen
    return chosen.where(Image.name.icontains(wanted, autoescape=True)) if wanted else chosen


@page.post("/projects/<project_id>/data")
def add(project_id: str) -> Response:
    """The form without scripts: all files at once."""
    given = [file for file in request.files.getlist("files") if file.filename]
    if not given:
        flash("Choose one file at least.", "warning")
    for file in given:
        _add_file(project_id, file)
    return redirect(url_for("data.index", project_id=project_id))


def _add_file(project_id: str, file: FileStorage) -> None:
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    try:
        with studio().database.session() as session:
            upload = _begun(session, project_id, str(file.filename), size)
        uploads.append(studio().database, studio().storage, upload, 0, file.stream)
        _tell(upload.name, _finished(upload))
    except TrustworthyError as error:
        flash(f"{file.filename} was not taken: {in_words(error)}", "danger")


@page.post("/projects/<project_id>/data/link")
def link(project_id: str) -> Response:
    """A file from elsewhere."""
    with studio().database.reading() as session:
        found(session, Project, project_id)
    arrived = fetch(
        studio().database, studio().storage, studio().settings, project_id, request.form.get("link", ""), "any"
    )
    _tell("Link", arrived)
    return redirect(url_for("data.index", project_id=project_id))


def _begun(session: Session, project_id: str, name: str, size: int) -> Upload:
    role = request.form.get("role", "any")
    return uploads.begin(session, studio().storage, studio().settings, project_id, name, size, role)


def _finished(upload: Upload) -> uploads.Arrived:
    return uploads.finish(studio().database, studio().storage, studio().settings, upload.id)


def _tell(name: str, arrived: uploads.Arrived) -> None:
    flash(f"{name}: {_told(arrived)}.", "success")
    for words in _refused(arrived):
        flash(words, "warning")


def _told(arrived: uploads.Arrived) -> str:
    return f"{len(arrived.images)} images added" if len(arrived.images) != 1 else "added"


def _refused(arrived: uploads.Arrived) -> list[str]:
    told = [f"{name} was left out: {reason}" for name, reason in arrived.refused[:TOLD]]
    more = len(arrived.refused) - TOLD
    return [*told, f"{more} more files were left out."] if more > 0 else told


@page.post("/projects/<project_id>/uploads")
def begin(project_id: str) -> dict[str, Any]:
    """Of an upload in chunks. Form: name, size, role."""
    with studio().database.session() as session:
        found(session, Project, project_id)
        upload = _begun(session, project_id, request.form.get("name", ""), request.form.get("size", 0, int))
    return {"id": upload.id, "received": 0}


@page.get("/projects/<project_id>/uploads/<upload_id>")
def state(project_id: str, upload_id: str) -> dict[str, Any]:
    """How many bytes have arrived: where to go on."""
    return {"id": upload_id, "received": uploads.received(studio().storage, _upload(project_id, upload_id))}


@page.patch("/projects/<project_id>/uploads/<upload_id>")
def append(project_id: str, upload_id: str) -> dict[str, Any]:
    """The next bytes, as the body. Upload-Offset: how many came before; X-SHA256: of these, where the page knows it."""
    upload = _upload(project_id, upload_id)
    digest, body = request.headers.get("X-SHA256"), request.stream
    if (request.content_length or 0) > 2 * uploads.CHUNK:
        raise InvalidInput(
            f"a chunk may have {2 * uploads.CHUNK:,} bytes, got {request.content_length:,}; send smaller ones."
        )
    offset = request.headers.get("Upload-Offset", -1, int)
    have = uploads.append(studio().database, studio().storage, upload, offset, body, digest)
    return {"id": upload_id, "received": have}


@page.post("/projects/<project_id>/uploads/<upload_id>/finish")
def finish(project_id: str, upload_id: str) -> dict[str, Any]:
    arrived = _finished(_upload(project_id, upload_id))
    return {"words": _told(arrived), "refused": _refused(arrived)}


@page.post("/projects/<project_id>/uploads/<upload_id>/abandon")
def abandon(project_id: str, upload_id: str) -> Response:
    upload = _upload(project_id, upload_id)
    with studio().database.session() as session:
        uploads.abandon(session, studio().storage, upload)
    return redirect(url_for("data.index", project_id=project_id))


def _upload(project_id: str, upload_id: str) -> Upload:
    with studio().database.reading() as session:
        return found(session, Upload, upload_id, project_id)


@page.post("/projects/<project_id>/data/roles")
def name_roles(project_id: str) -> Response:
    """Of the images that the page shows, one by one; or of all whose names hold some words."""
    every, wanted = request.form.get("every", ""), request.form.get("q", "").strip()
    given = {name.removeprefix("role-"): role for name, role in request.form.items() if name.startswith("role-")}
    for role in [*given.values(), *([every] if every else [])]:
        check_role(role)
    with studio().database.session() as session:
        chosen = _chosen(project_id, request.form.get("role", ""), wanted)
        images = session.scalars(chosen if every else chosen.where(Image.id.in_(given))).all()
        changed = [image for image in images if image.role != (every or given[image.id])]
        for image in changed:
            image.role = every or given[image.id]
    flash(
        f"The role of {len(changed)} images was changed." if len(changed) != 1 else "One role was changed.", "success"
    )
    return redirect(_back(project_id))


def _back(project_id: str) -> str:
    kept = {name: request.form[name] for name in ("role", "q", "page") if request.form.get(name)}
    return url_for("data.index", project_id=project_id, **kept)  # type: ignore[arg-type]


@page.get("/projects/<project_id>/images/<image_id>")
def show(project_id: str, image_id: str) -> str:
    with studio().database.reading() as session:
        image = found(session, Image, image_id, project_id)
        alike = sum(_alike(image, other) for other in _others(session, image))
        project = found(session, Project, project_id)
        statistics = statistics_of(studio().storage, image)
    return render_template(
        "data/image.html", project=project, image=image, about=Description(**image.description), alike=alike,
        statistics=statistics, roles=ROLE_WORDS, axis_words=AXIS_WORDS, in_short=in_short,
    )  # fmt: skip


@page.get("/projects/<project_id>/images/<image_id>/preview.png")
def thumbnail(project_id: str, image_id: str) -> Response:
    with studio().database.reading() as session:
        image = found(session, Image, image_id, project_id)
    file = thumbnail_of(studio().storage, image)
    if not file.is_file():
        look_again(studio().storage, studio().settings, image)
    return send_file(file, "image/png")


@page.post("/projects/<project_id>/images/<image_id>")
def correct(project_id: str, image_id: str) -> Response:
    """Role and axes of an image; the axes, where it is wished, of all that are like it."""
    role = request.form.get("role", "")
    check_role(role)
    with studio().database.reading() as session:
        image = found(session, Image, image_id, project_id)
        others = [other for other in _others(session, image) if _alike(image, other)]
    named = "".join(request.form.get(f"axis-{number}", "") for number in range(len(image.description["axes"])))
    touched = [image, *(others if "alike" in request.form else [])] if _renamed(image, named) else []
    for each in touched:
        look_again(studio().storage, studio().settings, each, named)
    with studio().database.session() as session:
        found(session, Image, image_id, project_id).role = role
        for each in touched:
            found(session, Image, each.id, project_id).description = each.description
    flash(f"{image.name} was saved{f', and {len(touched) - 1} others like it' if len(touched) > 1 else ''}.", "success")
    return redirect(url_for("data.show", project_id=project_id, image_id=image_id))


def _renamed(image: Image, axes: str) -> bool:
    """Whether a person has said something new; to agree with a guess is new."""
    return axes != image.description["axes"] or image.description["guessed"]


def _others(session: Session, image: Image) -> list[Image]:
    return [*session.scalars(select(Image).where(Image.project_id == image.project_id, Image.id != image.id))]


def _alike(image: Image, other: Image) -> bool:
    return all(image.description[name] == other.description[name] for name in ("axes", "guessed"))


@page.post("/projects/<project_id>/images/<image_id>/delete")
def delete(project_id: str, image_id: str) -> Response:
    with studio().database.session() as session:
        image = found(session, Image, image_id, project_id)
        remove_image(session, studio().storage, image)
    flash(f"{image.name} was deleted.", "success")
    return redirect(_back(project_id))
