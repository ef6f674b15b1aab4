"""The control panel (Figure 6.2): what a training is to do, what it will take, and its submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from trustworthy.core.errors import InvalidInput, TrustworthyError
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project
from trustworthy.studio.images.description import Description
from trustworthy.studio.jobs.submitting import submit_training
from trustworthy.studio.training.control import CONTROLS, STUDIO_METHODS, TrainingSettings, settings_of
from trustworthy.studio.training.estimating import Estimate, estimate
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found

page = Blueprint("train", __name__)
CHANNELS = ("source_channels", "target_channels")
PATCHES = (32, 64, 96, 128, 192, 256, 384, 512)
WIDTHS = ((8, "small, quick"), (16, "usual"), (32, "large, slow"))
PARTS = ("train", "validation", "test")


@page.get("/projects/<project_id>/train")
def panel(project_id: str) -> str:
    """The panel, with the defaults of the dissertation, or the settings of a model to start from or of a job."""
    with studio().database.reading() as session:
        given: dict[str, Any] = {}
        if start := request.args.get("start_from"):
            model = found(session, Model, start)
            given = {**model.about.get("settings", {}), "start_from": model.id}
        elif like := request.args.get("like"):
            given = found(session, Job, like).settings.get("settings") or {}
        return _panel(session, found(session, Project, project_id), _shown(given))


@page.post("/projects/<project_id>/train")
def submit(project_id: str) -> str | Response | tuple[str, int]:
    """Queue the training, and go to its page."""
    here, values = studio(), _given(request.form)
    try:
        settings = settings_of(values)
        with here.database.reading() as session:  # it measures for a while, and may keep nobody from writing
            seen = _estimate(session, found(session, Project, project_id), settings)
        with here.database.session() as session:
            name = request.form.get("name", "").strip()
            job = submit_training(session, here.storage, project_id, settings, name, asdict(seen))
    except InvalidInput as error:
        with here.database.reading() as session:
            return _panel(session, found(session, Project, project_id), _shown(values), fault=str(error)), 400
    flash("The training is in the queue.", "success")
    return redirect(f"/jobs/{job.id}")


@page.post("/projects/<project_id>/train/estimate")
def estimated(project_id: str) -> str | tuple[str, int]:
    """What the training would take: the line alone for the script, the whole panel without it."""
    values = _given(request.form)
    seen, fault = None, ""
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        try:
            seen = _estimate(session, project, settings_of(values))
        except TrustworthyError as error:
            fault = str(error)
        if "HX-Request" in request.headers:
            return render_template("train/estimate.html", seen=seen, fault=fault, values=_shown(values))
        return _panel(session, project, _shown(values), seen, fault), 400 if fault else 200


def _given(form: MultiDict[str, str]) -> dict[str, Any]:
    """What the form says of each setting; what may be empty is left out where it is."""
    values: dict[str, Any] = {
        name: form[name].strip()
        for name in TrainingSettings.model_fields
        if name in form and name not in CHANNELS and (name in CONTROLS or form[name].strip())
    }
    return {**values, **{name: form.getlist(name) for name in CHANNELS}}


def _shown(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the panel's fields: what was given, otherwise the default."""
    shown = {name: field.default for name, field in TrainingSettings.model_fields.items()} | dict(given)
    return shown | {name: [int(channel) for channel in shown[name] if str(channel).isdigit()] for name in CHANNELS}


def _estimate(session: Session, project: Project, settings: TrainingSettings) -> Estimate:
    pairs, here = _pairs(session, project), studio().settings
    sources = [Description(**pair.source.description) for pair in pairs]
    return estimate(settings, sources, [pair.part for pair in pairs], here.device, here.threads)


def _pairs(session: Session, project: Project) -> list[Pair]:
    return list(session.scalars(select(Pair).where(Pair.project_id == project.id, Pair.part != "none")))


def _panel(
    session: Session, project: Project, values: Mapping[str, Any], seen: Estimate | None = None, fault: str = ""
) -> str:
    pairs = _pairs(session, project)
    models = session.scalars(select(Model).order_by(Model.created.desc())).all()
    return render_template(
        "train/panel.html", project=project, values=values, seen=seen, fault=fault, name=request.form.get("name", ""),
        counts=Counter(pair.part for pair in pairs), parts=PARTS, controls=CONTROLS.values(), methods=STUDIO_METHODS,
        patches=[(side, side) for side in PATCHES], widths=WIDTHS,
        starts=[("", "A new network"), *((model.id, model.name) for model in models)],
        channels={
            "source_channels": _channels([pair.source for pair in pairs]),
            "target_channels": _channels([pair.target for pair in pairs]),
        },
    )  # fmt: skip


def _channels(images: list[Image]) -> list[str]:
    """Names of the channels that may be chosen from: those that all images have; none where there is only one."""
    described = [Description(**image.description) for image in images]
    many = min((each.channels for each in described), default=0)
    names = described[0].channel_names if described else ()
    return [names[k] if k < len(names) else f"Channel {k + 1}" for k in range(many)] if many > 1 else []
