import re

import pytest

from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project, Upload, new_id


def text_of(answer):
    return answer.get_data(as_text=True)


def test_a_project_is_made_found_again_and_changed(client, database):
    made = client.post("/projects/new", data={"name": " Wells <b>3</b> ", "description": "", "email": "a@b.edu"})
    assert re.fullmatch("/projects/[0-9a-f]{32}/data", made.location)
    where = made.location.removesuffix("/data")
    assert "Wells &lt;b&gt;3&lt;/b&gt;" in text_of(client.get("/?q=wells"))
    assert "No project has “w%s”" in text_of(client.get("/?q=w%25s"))
    client.post(where + "/edit", data={"name": "Plates", "email": ""})
    with database.reading() as session:
        assert session.query(Project.name, Project.email).all() == [("Plates", None)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "  "}, "Give the project a name"),
        ({"name": "a" * 201}, "At most 200 characters fit here; these are 201."),
        ({"name": "a", "email": "nobody"}, "This is no e-mail address"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_made(client, database, given, told):
    answer = client.post("/projects/new", data={"description": "kept", **given})
    assert answer.status_code == 400
    assert told in text_of(answer)
    assert ">kept</textarea>" in text_of(answer)
    with database.reading() as session:
        assert session.query(Project).count() == 0


@pytest.fixture
def project(database):
    """With everything that a project can have."""
    with database.session() as session:
        project = Project(name="wells")
        session.add(project)
        session.flush()
        of_it = {"project_id": project.id}
        images = [
            Image(**of_it, name=f"{n}.tif", role=role, suffix=".tif", bytes=1, sha256="", description={})
            for n in (1, 2) for role in ("source", "target")
        ]  # fmt: skip
        session.add_all([*images, Upload(**of_it, name="half.zip", size=9)])
        session.flush()
        for number in (0, 2):
            source, target = images[number : number + 2]
            session.add(Pair(**of_it, name=str(number), source_id=source.id, target_id=target.id))
        job = new_id()
        session.add(Job(**of_it, id=job, kind="train", status="SUCCESS", settings={}))
        session.add(Model(**of_it, id=job, job_id=job, name="first", about={}))
    return project


def test_a_project_goes_with_everything_in_it(client, database, storage, project):
    with database.reading() as session:
        job, upload = session.query(Job).one().id, session.query(Upload).one().id
    for folder in (storage.project(project.id), storage.job(job), storage.model(job)):
        folder.mkdir()
    storage.upload(upload).touch()
    assert "4 images, 2 pairs, 1 job, 1 model will be deleted" in text_of(client.get(f"/projects/{project.id}/delete"))
    client.post(f"/projects/{project.id}/delete")
    assert [path.name for path in storage.root.glob("*/*")] == []
    with database.reading() as session:
        assert [session.query(table).count() for table in (Project, Image, Pair, Job, Model, Upload)] == [0] * 6


def test_a_project_whose_job_runs_is_not_deleted(client, database, storage, project):
    storage.project(project.id).mkdir()
    with database.session() as session:
        session.query(Job).one().status = "RUN"
    answer = client.post(f"/projects/{project.id}/delete")
    assert answer.status_code == 400
    assert "cancel it first" in text_of(answer)
    assert storage.project(project.id).is_dir()


def test_the_steps_say_what_there_is_and_what_is_next(client, database, project):
    where = f"/projects/{project.id}"
    page = text_of(client.get(where))
    for told in ("2 sources, 2 targets", "2 pairs", "1 finished training", "/results"):
        assert told in page
    with database.session() as session:
        session.delete(session.query(Job).one())
    page = text_of(client.get(where))
    assert f'class="btn btn-primary" href="{where}/check"' in page
    assert "not looked at as they are now" in page
    with database.session() as session:
        session.query(Pair).first().part = "none"
    assert f'class="btn btn-primary" href="{where}/pairs"' in text_of(client.get(where))


@pytest.mark.parametrize("url", ["/projects/" + "0" * 32, "/projects/x/edit", "/nowhere"])
def test_what_is_not_there_is_said(client, url):
    answer = client.get(url, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is nothing here" in text_of(answer)
