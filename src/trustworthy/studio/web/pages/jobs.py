"""Jobs (Figure 6.3): what waits, runs and has ended; of each its curves, its log, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from markupsafe import escape
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response as Answer

from trustworthy.studio.db.tables import Job, Project, now
from trustworthy.studio.jobs import submitting
from trustworthy.studio.jobs.history import can_finish, history, log_tail, whole_log
from trustworthy.studio.jobs.states import ENDED, QUEUE, SUCCESS
from trustworthy.studio.training.control import CONTROLS, STUDIO_METHODS
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.curves import HEIGHT, WIDTH, chart
from trustworthy.studio.web.errors import found
from trustworthy.studio.web.paging import page_of

page = Blueprint("jobs", __name__)
PARTS = {"train": "to learn from", "validation": "for validation", "test": "held out for the test", "new": "to predict"}


@page.get("/jobs")
def index() -> str:
    return _listed("jobs/index.html")


@page.get("/jobs/rows")
def rows() -> str:
    """The table alone, as it is now."""
    return _listed("jobs/rows.html")


@page.get("/jobs/<job_id>")
def show(job_id: str) -> str:
    with studio().database.reading() as session:
        seen = _seen(session, job_id)
    return render_template("jobs/show.html", log=log_tail(studio().storage, seen["job"]), **seen)


@page.get("/jobs/<job_id>/live")
def live(job_id: str) -> Response:
    """How far it is; once it has ended the whole page is loaded anew, as other things can be done then."""
    with studio().database.reading() as session:
        seen = _seen(session, job_id)
    response = Response(render_template("jobs/live.html", **seen))
    if seen["ended"]:
        response.headers["HX-Refresh"] = "true"
    return response


@page.get("/jobs/<job_id>/log")
def log(job_id: str) -> Response:
    """All that it printed; only the end of it, as it is now, for the page of the job."""
    with studio().database.reading() as session:
        job = found(session, Job, job_id)
    if "tail" in request.args:
        return Response(escape(log_tail(studio().storage, job)))
    return Response(whole_log(studio().storage, job), mimetype="text/plain")


@page.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Answer:
    return _done(job_id, submitting.cancel, "The job stops within two seconds. What it has so far is kept.")


@page.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> Answer:
    return _done(job_id, submitting.retry, "The job waits in the queue again, and goes on where it stopped.")


@page.post("/jobs/<job_id>/finish")
def finish(job_id: str) -> Answer:
    def finished(session: Session, job_id: str) -> Job:
        return submitting.retry(session, job_id, finish=True)

    return _done(job_id, finished, "The best so far is made into a result; this needs no more training.")


@page.get("/jobs/<job_id>/delete")
def confirm(job_id: str) -> str:
    with studio().database.reading() as session:
        job = found(session, Job, job_id)
        project = found(session, Project, job.project_id)
    words = "Its results, its log and what it has learnt so far are removed for good."
    if job.kind == "train" and job.status == SUCCESS:
        words += " The model that came out of it stays, under Models."
    back = url_for("jobs.show", job_id=job.id)
    return render_template("confirm.html", name=job.name, words=words, back=back, project=project)


@page.post("/jobs/<job_id>/delete")
def delete(job_id: str) -> Answer:
    with studio().database.session() as session:
        name = found(session, Job, job_id).name
        submitting.delete(session, studio().storage, job_id)
    flash(f"“{name}” was deleted.", "success")
    return redirect(url_for("jobs.index"))


def _done(job_id: str, do: Callable[[Session, str], Job], words: str) -> Answer:
    with studio().database.session() as session:
        found(session, Job, job_id)
        do(session, job_id)
    flash(words, "success")
    return redirect(url_for("jobs.show", job_id=job_id))


def _listed(template: str) -> str:
    wanted = request.args.get("project")
    chosen = select(Job).options(joinedload(Job.project)).order_by(Job.created.desc(), Job.id)
    if wanted:
        chosen = chosen.where(Job.project_id == wanted)
    with studio().database.reading() as session:
        jobs, shown = page_of(session, chosen)
        project = found(session, Project, wanted) if wanted else None
    active = any(job.status not in ENDED for job in jobs)
    return render_template(template, jobs=jobs, shown=shown, project=project, active=active)


def _seen(session: Session, job_id: str) -> dict[str, Any]:
    """What the page of a job shows."""
    job = found(session, Job, job_id)
    told = history(studio().storage, job)
    settings = job.settings.get("settings") or {}
    parts = Counter(place["part"] for place in job.settings["places"])
    before = select(func.count()).where(Job.status == QUEUE, Job.created < job.created)
    return {
        "job": job,
        "project": found(session, Project, job.project_id),
        "ended": job.status in ENDED,
        "before": session.scalar(before) if job.status == QUEUE else 0,
        "running": (job.ended or now()) - job.started if job.started and job.status != QUEUE else None,
        "chart": chart(told.curves, settings.get("epochs", 1)),
        "notes": told.notes,
        "images": [f"{parts[part]} {words}" for part, words in PARTS.items() if part in parts],
        "facts": [(control.label, f"{settings[name]:g}") for name, control in CONTROLS.items() if name in settings],
        "method": STUDIO_METHODS.get(settings.get("method", "")),
        "settings": settings,
        "can_finish": can_finish(studio().storage, job),
        "width": WIDTH,
        "height": HEIGHT,
    }
