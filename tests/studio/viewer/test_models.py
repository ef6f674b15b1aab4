import html
import io
import re
import zipfile

import numpy as np
import pytest
import tifffile

from studio.viewer.finished import finished, project_with_pairs
from trustworthy.studio.db.tables import Image, Job, Model, Pair, Project
from trustworthy.studio.jobs.states import CANCELLED, QUEUE
from trustworthy.studio.web.pages import models


@pytest.fixture
def model(database, storage):
    """One of a finished training, with files."""
    with database.session() as session:
        job = finished(session, storage, project_with_pairs(session))
        model = session.get_one(Model, job.id)
    folder = storage.model(model.id)
    (folder / "part").mkdir(parents=True)
    (folder / "studio.json").write_text("{}", encoding="utf-8")
    (folder / "part" / "weights.safetensors").write_bytes(b"weights")
    return model


def new_image(database, project_id, role="new"):
    with database.session() as session:
        description = {"axes": "ZYX", "shape": [3, 32, 48], "dtype": "uint8"}
        image = Image(
            project_id=project_id, name=f"{role}.tif", role=role, suffix=".tif", bytes=9, sha256="0" * 64,
            description=description,
        )  # fmt: skip
        session.add(image)
        session.flush()
    return image


def plain(answer):
    return html.unescape(re.sub(r"\s+", " ", answer.text))


def test_models_are_listed_with_what_they_reach(client, model):
    assert "no model yet" not in plain(client.get("/models"))
    text = plain(client.get("/models"))
    assert f'href="/models/{model.id}">First try' in text
    assert "0.930" in text


def test_without_a_model_the_page_says_how_to_get_one(client):
    assert "no model yet" in plain(client.get("/models"))


def test_new_images_are_chosen_first_and_targets_not_offered(client, database, model):
    new_image(database, model.project_id)
    text = plain(client.get(f"/models/{model.id}"))
    boxes = re.findall(r'type="checkbox" name="images"[^>]*>', text)
    assert ["checked" in box for box in boxes] == [True, False, False, False, False]
    assert "new.tif 48 × 32, 3 planes, new" in re.sub(r"<[^>]*>", "", text)
    assert "target/0.tif" not in text
    assert "style=" not in text


def test_only_images_that_its_training_saw_are_told_to_have_been_learnt_from(client, database, model):
    def told():
        text = re.sub(r"<[^>]*>", "", plain(client.get(f"/models/{model.id}")))
        return re.findall(
            r"(source/\d|any).tif [^,]*, (?:3 planes)?(?:a source)?(?: that it (has|may have) learnt from)?", text
        )

    new_image(database, model.project_id, "any")
    may = [("any", ""), *((f"source/{n}", said) for n, said in enumerate(("may have", "may have", "may have", "")))]
    with database.session() as session:
        sources = [pair.source_id for pair in session.query(Pair).order_by(Pair.name)]
        job = session.get_one(Job, model.job_id)
        seen = (("train", sources[3]), ("test", sources[0]))
        job.settings = {"places": [{"part": part, "source": {"id": source}} for part, source in seen]}
    assert told() == [("any", ""), *((f"source/{n}", said) for n, said in enumerate(("", "", "", "has")))]
    with database.session() as session:
        session.delete(session.get_one(Job, model.job_id))
    assert told() == may  # of the pairs as they are now the last one tests


def test_applying_it_queues_a_job_for_the_chosen_images(client, database, model):
    image = new_image(database, model.project_id)
    answer = client.post(f"/models/{model.id}/apply", data={"images": [image.id], "name": "Wednesday"})
    with database.reading() as session:
        job = session.query(Job).where(Job.kind == "predict").one()
    assert answer.location == f"/jobs/{job.id}"
    assert (job.name, job.status, job.model_id) == ("Wednesday", QUEUE, model.id)
    assert [place["source"]["id"] for place in job.settings["places"]] == [image.id]


def test_no_image_is_refused_in_words(client, model):
    answer = client.post(f"/models/{model.id}/apply", data={"name": "Wednesday"})
    assert answer.status_code == 400
    assert "choose the images" in answer.text


def test_images_of_another_project_can_be_shown_and_trained_on(client, database, model):
    with database.session() as session:
        other = Project(name="Others")
        session.add(other)
        session.flush()
    new_image(database, other.id)
    assert "new.tif" in plain(client.get(f"/models/{model.id}?project={other.id}"))
    answer = client.get(f"/models/{model.id}/start?project={other.id}")
    assert answer.location == f"/projects/{other.id}/train?start_from={model.id}"
    assert client.get(f"/models/{model.id}/start?project={'0' * 32}").status_code == 404


def test_its_zip_holds_its_folder(client, model):
    with client.get(f"/models/{model.id}/download") as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.data))
        name = f"First_try-{model.id[:6]}"
        assert f"{name}.zip" in answer.headers["Content-Disposition"]
    assert archive.namelist() == [f"{name}/part/weights.safetensors", f"{name}/studio.json"]
    assert archive.read(f"{name}/part/weights.safetensors") == b"weights"


def test_its_package_for_the_zoo_is_sent_and_no_copy_stays(client, database, storage, model, monkeypatch):
    with database.reading() as session:
        source = session.query(Image).filter_by(role="source").order_by(Image.name).first()
    shape = source.description["shape"]
    tifffile.imwrite(storage.image(source.project_id, source.id, source.suffix), np.full(shape, 7, "uint16"))

    def package(folder, file, *, name, description, sample):
        assert sample.shape == (1, *shape[-2:])
        assert (sample == 7).all()
        file.write_text(f"{folder.name} {name}", encoding="utf-8")
        return file

    monkeypatch.setattr(models, "zoo_package", package)
    with client.post(f"/models/{model.id}/zoo") as answer:
        assert answer.text == f"{model.id} First try"
        assert f"First_try-{model.id[:6]}-bioimageio.zip" in answer.headers["Content-Disposition"]
    storage.remove(storage.model(model.id))
    assert client.post(f"/models/{model.id}/zoo").status_code == 404


def test_a_model_is_renamed_and_deleted_but_not_under_a_job_that_needs_it(client, database, storage, model):
    assert client.post(f"/models/{model.id}/rename", data={"name": " "}).status_code == 400
    client.post(f"/models/{model.id}/rename", data={"name": "Stain 3"})
    assert "Stain 3" in plain(client.get("/models"))
    with database.session() as session:
        job = Job(
            project_id=model.project_id, kind="train", status=QUEUE, settings={"settings": {"start_from": model.id}}
        )
        session.add(job)
        session.flush()
    refused = client.post(f"/models/{model.id}/delete")
    assert refused.status_code == 400
    assert storage.model(model.id).is_dir()
    with database.session() as session:
        session.get_one(Job, job.id).status = CANCELLED
    assert client.post(f"/models/{model.id}/delete").location == "/models"
    assert not storage.model(model.id).exists()
    assert client.get(f"/models/{model.id}").status_code == 404
