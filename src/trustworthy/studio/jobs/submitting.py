"""What a person does with jobs: submit, cancel, try again, delete. Whoever runs them is somewhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project, new_id
from trustworthy.studio.jobs.states import CANCELLED, ENDED, NEXT, QUEUE, RUN, SUBMIT
from trustworthy.studio.pairs.splitting import check_enough
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.preparing import channels_of
from trustworthy.studio.training.task import Picture, Place, Task

LEFT_OUT = "none"
T = TypeVar("T", Project, Image, Job, Model)


def submit_training(
    session: Session,
    storage: Storage,
    project_id: str,
    training: TrainingSettings,
    name: str = "",
    estimate: Mapping[str, Any] | None = None,
) -> Job:
    """Queue a training on the pairs that a project has now; what is changed later does not change the job.

    estimate : `training.estimating.Estimate` as a mapping; its `disk_bytes` must be free.

    Raises
    ------
    InvalidInput : there are no two pairs, or none to train with, or none that is held out; images of a pair, or
        channels of two pairs, do not fit each other. The transaction is to be rolled back then.
    DiskFull : the disk has no space for it.
    """
    project = _found(session, Project, project_id)
    chosen = select(Pair).where(Pair.project_id == project_id, Pair.part != LEFT_OUT).order_by(Pair.name, Pair.id)
    pairs = session.scalars(chosen).all()
    check_enough([pair.part for pair in pairs])
    places = [
        Place(name=pair.name, part=pair.part, source=_picture(pair.source), target=_picture(pair.target))
        for pair in pairs
    ]
    if training.start_from is not None:
        _found(session, Model, training.start_from)
    job = _queued(session, storage, project, "train", places, name, estimate, settings=training)
    channels_of(training, Task(**job.settings))
    return job


def submit_prediction(
    session: Session, storage: Storage, model_id: str, image_ids: Sequence[str], name: str = ""
) -> Job:
    """Queue the application of a model to images, all of one project, which may be another one than the model's."""
    model = _found(session, Model, model_id)
    images = [_found(session, Image, each) for each in dict.fromkeys(image_ids)]
    projects = {image.project_id for image in images}
    if len(projects) != 1:
        raise InvalidInput(
            "images must be at least one, all of one project, "
            f"got {len(images)} of {len(projects)} projects; choose the images to which the model is applied."
        )
    project = _found(session, Project, projects.pop())
    places = [Place(name=image.name, part="new", source=_picture(image)) for image in images]
    return _queued(session, storage, project, "predict", places, name or f"{model.name}, applied", model_id=model_id)


def submit_again(session: Session, storage: Storage, task: Task) -> Job:
    """Queue what configuration.json of a result says, on the images of this studio that have its digests.

    Images are taken with the axes that they had then, whatever a person has made of them since.

    Raises
    ------
    InvalidInput : no project has all of the images, or a model that is needed is gone.
    """
    wanted = {picture.sha256 for place in task.places for picture in place.pictures}
    of_project: dict[str, dict[str, Image]] = {}
    for image in session.scalars(select(Image).where(Image.sha256.in_(wanted))):
        of_project.setdefault(image.project_id, {})[image.sha256] = image
    there = [project for project, images in of_project.items() if len(images) == len(wanted)]
    if not there:
        most = max(map(len, of_project.values()), default=0)
        raise InvalidInput(
            f"the configuration is of {len(wanted)} different images, and no project of this studio has more than "
            f"{most} of them; upload the images that the training had into one project, as they were."
        )
    project = task.project if task.project in there else there[0]
    images = of_project[project]

    def here(picture: Picture) -> Picture:
        found = images[picture.sha256]
        return picture.model_copy(update={"id": found.id, "suffix": found.suffix})

    places = [
        place.model_copy(update={"source": here(place.source), "target": place.target and here(place.target)})
        for place in task.places
    ]
    for model in (task.model_id, task.settings and task.settings.start_from):
        if model is not None:
            _found(session, Model, model)
    more = {"settings": task.settings, "model_id": task.model_id}
    return _queued(
        session, storage, _found(session, Project, project), task.kind, places, f"{task.project_name}, again", **more
    )


def cancel(session: Session, job_id: str) -> Job:
    """Stop a job: at once where it waits, within two seconds where it runs. What it has so far stays."""
    job = _found(session, Job, job_id)
    if job.status == RUN:
        job.cancelling = True
    elif CANCELLED in NEXT[job.status]:
        job.status, job.stage = CANCELLED, ""
    else:
        raise InvalidInput(f"job {job.name!r} has ended already, with {job.status}; there is nothing to cancel.")
    return job


def retry(session: Session, job_id: str, finish: bool = False) -> Job:
    """Queue a job again that failed or was cancelled; it goes on where it stopped.

    finish : train no more, and make what a training has so far into a result.
    """
    job = _found(session, Job, job_id)
    if QUEUE not in NEXT[job.status] or job.status not in ENDED:
        raise InvalidInput(f"job {job.name!r} is {job.status}; only one that failed or was cancelled is tried again.")
    if finish and job.kind != "train":
        raise InvalidInput(f"job {job.name!r} applies a model; only a training has a best so far to finish with.")
    job.settings = {**job.settings, "finish": finish}
    job.status, job.cancelling, job.reason, job.stage, job.ended = QUEUE, False, "", "", None
    job.forgiven = job.attempts
    return job


def delete(session: Session, storage: Storage, job_id: str) -> None:
    """Remove a job and its files for good; a model that came out of it stays."""
    job = _found(session, Job, job_id)
    if job.status == RUN:
        raise InvalidInput(f"job {job.name!r} runs; cancel it first, then delete it.")
    session.delete(job)
    session.flush()
    storage.remove(storage.job(job_id))


def _queued(
    session: Session,
    storage: Storage,
    project: Project,
    kind: str,
    places: Sequence[Place],
    name: str,
    estimate: Mapping[str, Any] | None = None,
    **more: Any,
) -> Job:
    storage.reserve((estimate or {}).get("disk_bytes", 0), "This job")
    task = Task(job=new_id(), project=project.id, project_name=project.name, kind=kind, places=tuple(places), **more)  # type: ignore[arg-type]
    job = Job(
        id=task.job,
        project_id=project.id,
        kind=kind,
        name=(name or project.name)[:200],
        status=SUBMIT,
        settings=task.model_dump(mode="json"),
        estimate=dict(estimate or {}),
        model_id=task.model_id,
    )
    session.add(job)
    session.flush()
    job.status = QUEUE
    return job


def _picture(image: Image) -> Picture:
    return Picture.model_validate(image, from_attributes=True)


def _found(session: Session, table: type[T], given: str) -> T:
    row = session.get(table, given, with_for_update=table is Job)
    if row is None:
        raise InvalidInput(f"there is no {table.__name__.lower()} {given!r} any more; reload the page.")
    return row
