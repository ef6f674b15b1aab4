import pytest

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project
from trustworthy.studio.jobs import leases
from trustworthy.studio.jobs.states import CANCELLED, FAILURE, QUEUE, RUN
from trustworthy.studio.jobs.submitting import cancel, delete, retry, submit_again, submit_prediction, submit_training
from trustworthy.studio.storage import DiskFull
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.task import Task


def test_a_training_is_frozen_as_it_was_submitted(place):
    job_id = place.submit(epochs=20, seed=3)
    with place.database.session() as session:
        for pair in session.query(Pair):
            pair.part = "train"
    with place.database.reading() as session:
        job = session.get_one(Job, job_id)
        task = Task(**job.settings)
    assert (job.status, job.kind, job.name, task.job, task.settings.epochs) == (QUEUE, "train", "wells", job_id, 20)
    assert [each.part for each in task.places] == ["train", "test"]
    assert task.places[0].target.name == "target/0.tif"


def test_refuses_pairs_that_test_nothing_and_leaves_no_job(place):
    with place.database.session() as session:
        for pair in session.query(Pair):
            pair.part = "train"
    with pytest.raises(InvalidInput, match="no pair to test with"):
        place.submit()
    with place.database.reading() as session:
        assert session.query(Job).count() == 0


def test_refuses_what_the_disk_cannot_hold(place):
    estimate = {"disk_bytes": 10**18}
    with pytest.raises(DiskFull, match="This job needs 1000000000"), place.database.session() as session:
        submit_training(session, place.storage, place.project, TrainingSettings(), estimate=estimate)


def test_a_prediction_is_for_images_of_one_project(place):
    with place.database.session() as session:
        other = Project(name="other")
        session.add(other)
        session.flush()
        session.add(Model(id="f" * 32, project_id=place.project, name="wells", about={}))
        image, elsewhere = (place.image(session, "new.tif", "new", project) for project in (place.project, other.id))
        job = submit_prediction(session, place.storage, "f" * 32, [image, image])
        assert (job.kind, job.model_id, job.name) == ("predict", "f" * 32, "wells, applied")
        assert [each["part"] for each in job.settings["places"]] == ["new"]
        for images in ([], [image, elsewhere]):
            with pytest.raises(InvalidInput, match="all of one project"):
                submit_prediction(session, place.storage, "f" * 32, images)


def test_cancel_try_again_and_delete(place):
    waiting, running = place.submit(), place.submit()
    with place.database.session() as session:
        assert cancel(session, waiting).status == CANCELLED
        leases.claim(session, "me", 30.0)
        job = cancel(session, running)
        assert (job.status, job.cancelling) == (RUN, True)
        for refused in (lambda: cancel(session, waiting), lambda: retry(session, running)):
            with pytest.raises(InvalidInput, match="job 'wells'"):
                refused()
        with pytest.raises(InvalidInput, match="cancel it first"):
            delete(session, place.storage, running)
        leases.finish(session, running, job.token, FAILURE, reason="no memory")
        session.refresh(job)
        again = retry(session, running, finish=True)
        assert (again.status, again.reason, again.attempts, again.forgiven) == (QUEUE, "", 1, 1)
        assert again.settings["finish"] is True
        place.storage.attempt(waiting, 1).mkdir(parents=True)
        delete(session, place.storage, waiting)
        assert not place.storage.job(waiting).exists()
        with pytest.raises(InvalidInput, match="no job"):
            retry(session, waiting)


def test_refuses_pairs_whose_images_do_not_fit_each_other_and_leaves_no_job(place):
    with place.database.session() as session:
        image = session.query(Image).filter_by(name="target/1.tif").one()
        image.description = {**image.description, "shape": [8, 9]}
    with pytest.raises(InvalidInput, match="both images of the pair '1' must have the same width"):
        place.submit()
    with place.database.reading() as session:
        assert session.query(Job).count() == 0


def test_a_configuration_is_run_again_on_the_images_that_have_its_digests(place):
    job_id = place.submit(epochs=20, seed=3)
    with place.database.session() as session:
        task = Task(**session.get(Job, job_id).settings)
        other = Project(name="the same images, uploaded anew")
        session.add(other)
        session.flush()
        copies = {name: place.image(session, name, "any", other.id) for name in ("source/0.tif", "target/0.tif")}
    with place.database.session() as session:
        again = Task(**submit_again(session, place.storage, task).settings)
    assert again.model_dump(exclude={"job"}) == task.model_dump(exclude={"job"})
    with place.database.session() as session:
        session.delete(session.get(Project, task.project))
    missing = "of 4 different images, and no project of this studio has more than 2"
    with pytest.raises(InvalidInput, match=missing), place.database.session() as session:
        submit_again(session, place.storage, task)
    with place.database.session() as session:
        copies |= {name: place.image(session, name, "any", other.id) for name in ("source/1.tif", "target/1.tif")}
        again = Task(**submit_again(session, place.storage, task).settings)
        stored = {image.name: image.id for image in session.query(Image)}
    assert again.project == other.id
    assert [place.source.id for place in again.places] == [stored["source/0.tif"], stored["source/1.tif"]]
    assert again.settings == task.settings
