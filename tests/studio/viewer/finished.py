"""Projects with pairs, and jobs that have finished, for the pages that show them."""

from studio.fakes import write_result
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project
from trustworthy.studio.images.description import Description
from trustworthy.studio.jobs.states import SUCCESS

DESCRIPTION = Description(axes="YX", shape=(64, 64), dtype="uint16")


def project_with_pairs(session, parts=("train", "train", "validation", "test"), description=DESCRIPTION):
    """A project, and a pair for each of the parts; nothing lies on the disk."""
    project = Project(name="Wells of Tuesday")
    session.add(project)
    session.flush()
    for number, part in enumerate(parts):
        images = [
            Image(
                project_id=project.id, name=f"{role}/{number}.tif", role=role, suffix=".tif", bytes=8192,
                sha256=f"{number}{role[0]}" * 32, description=description.to_json(),
            )
            for role in ("source", "target")
        ]  # fmt: skip
        session.add_all(images)
        session.flush()
        session.add(
            Pair(project_id=project.id, name=f"{number}", source_id=images[0].id, target_id=images[1].id, part=part)
        )
    session.flush()
    return project


def finished(session, storage, project, new=False, images=None, **fields):
    """A job that has succeeded with what `fakes.write_result` makes of the images, and its model."""
    kind = "predict" if new else "train"
    job = Job(project_id=project.id, kind=kind, name="First try", status=SUCCESS, settings={})
    session.add(job)
    session.flush()
    result = write_result(storage.result(job.id), images, kind=kind, **fields)
    about = {"settings": {"epochs": 10, "members": 5}, "summary": result.summary, "unit": result.unit}
    session.add(Model(id=job.id, project_id=project.id, job_id=job.id, name="First try", about=about))
    session.flush()
    return job
