import hashlib
import io

import numpy as np
import pytest
import tifffile

from trustworthy.studio.db.tables import Image, Job, Project, Upload
from trustworthy.studio.intake import uploads
from trustworthy.studio.storage import Storage

PROJECT = "a" * 32
DATA = f"/projects/{PROJECT}/data"


def tiff(shape=(8, 9), number=0, **options):
    stream = io.BytesIO()
    array = np.random.default_rng(number).integers(0, 99, shape).astype("uint8")
    tifffile.imwrite(stream, array, photometric="minisblack", metadata=None, **options)
    return stream.getvalue()


@pytest.fixture
def project(database):
    with database.session() as session:
        session.add(Project(id=PROJECT, name="wells"))


@pytest.fixture
def page(client, project):
    return client


def send(page, *files, role="any"):
    form = {"files": [(io.BytesIO(content), name) for name, content in files], "role": role}
    return page.post(DATA, data=form, follow_redirects=True).text


def images(database, table=Image):
    with database.reading() as session:
        return session.query(table).order_by(table.created).all()


def test_a_form_without_scripts_adds_images_and_tells_what_was_left_out(page, database):
    empty = page.get(DATA).text
    assert "No image is here yet" in empty
    script = "<script>alert(1)</script>.tif"
    text = send(page, ("source/a.tif", tiff()), (script, tiff(number=1)), ("notes.txt", b"hello"))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;" in text
    assert "notes.txt was not taken: the file is no image" in text
    assert {image.name: image.role for image in images(database)} == {
        "source/a.tif": "source",
        script: "any",
    }
    assert "Choose one file at least" in send(page)


def test_an_upload_in_chunks_goes_on_and_becomes_an_image(page, database):
    content = tiff(number=3)
    begun = page.post(f"/projects/{PROJECT}/uploads", data={"name": "é.tif", "size": len(content), "role": "new"}).json
    url = f"/projects/{PROJECT}/uploads/{begun['id']}"

    def patch(part, offset, digest=None):
        digest = digest or hashlib.sha256(part).hexdigest()
        return page.patch(url, data=part, headers={"Upload-Offset": str(offset), "X-SHA256": digest})

    assert patch(content[:99], 0).json["received"] == 99
    assert "altered" in patch(content[99:], 99, "0" * 64).text
    assert "offset must be 99" in patch(content, 0).text
    assert page.get(url).json["received"] == 99
    assert "é.tif" in page.get(DATA).text
    assert page.post(f"{url}/finish").status_code == 400
    assert patch(content[99:], 99).json["received"] == len(content)
    assert page.post(f"{url}/finish").json == {"words": "added", "refused": []}
    assert page.get(url).status_code == 404
    (image,) = images(database)
    assert (image.name, image.role, image.sha256) == ("é.tif", "new", hashlib.sha256(content).hexdigest())


def test_an_upload_can_be_discarded_and_a_full_disk_is_told(page, database, monkeypatch):
    begun = page.post(f"/projects/{PROJECT}/uploads", data={"name": "a.tif", "size": 9}).json
    page.post(f"/projects/{PROJECT}/uploads/{begun['id']}/abandon")
    assert images(database, Upload) == []
    monkeypatch.setattr(Storage, "free", property(lambda self: 8))
    answer = page.post(f"/projects/{PROJECT}/uploads", data={"name": "a.tif", "size": 9})
    assert (answer.status_code, "may be used" in answer.text) == (507, True)
    assert (
        page.patch(f"/projects/{PROJECT}/uploads/{begun['id']}", data=bytes(2 * uploads.CHUNK + 1)).status_code == 404
    )


def test_roles_are_corrected_one_by_one_or_for_all_that_are_shown(page, database):
    send(page, *((f"f{number}.tif", tiff(number=number)) for number in range(3)))
    first, second, third = images(database)
    page.post(f"{DATA}/roles", data={f"role-{first.id}": "source", f"role-{second.id}": "target"})
    assert [image.role for image in images(database)] == ["source", "target", "any"]
    assert "f0.tif" not in page.get(f"{DATA}?role=target").text
    page.post(f"{DATA}/roles", data={"every": "new", "q": "F2", f"role-{third.id}": "source"})
    assert [image.role for image in images(database)] == ["source", "target", "new"]
    assert page.post(f"{DATA}/roles", data={"every": "spy"}).status_code == 400
    assert "No image has “zz”" in page.get(f"{DATA}?q=zz").text


def test_axes_that_a_file_does_not_name_are_shown_and_corrected_for_all_alike(page, database, storage):
    send(page, ("a.tif", tiff((2, 8, 9), 0)), ("b.tif", tiff((3, 8, 9), 1)), ("c.tif", tiff((8, 9), 2)))
    first = images(database)[0]
    url = f"/projects/{PROJECT}/images/{first.id}"
    assert "check the axes" in page.get(DATA).text
    text = page.get(url).text
    assert "does not say what its axes are" in text
    assert "The same for the other image with these axes" in text
    named = {"role": "source", "axis-0": "C", "axis-1": "Y", "axis-2": "X"}
    assert page.post(url, data={**named, "axis-0": "Y"}).status_code == 400
    page.post(url, data={**named, "alike": "on"})
    kept = [(image.description["axes"], image.description["guessed"]) for image in images(database)]
    assert kept == [("CYX", False), ("CYX", False), ("YX", False)]
    assert "2 channels" in page.get(DATA).text
    assert page.get(f"{url}/preview.png", buffered=True).data.startswith(b"\x89PNG")
    (storage.previews(PROJECT) / f"{first.id}.png").unlink()
    assert page.get(f"{url}/preview.png", buffered=True).data.startswith(b"\x89PNG")


def test_an_image_is_deleted_with_its_files_unless_a_job_needs_it(page, database, storage):
    send(page, ("a.tif", tiff()))
    (image,) = images(database)
    url = f"/projects/{PROJECT}/images/{image.id}/delete"
    with database.session() as session:
        job = Job(
            project_id=PROJECT, kind="train", status="QUEUE", settings={"places": [{"id": image.id}]}, name="mine"
        )
        session.add(job)
    refused = page.post(url)
    assert (refused.status_code, "used by the job mine" in refused.text) == (400, True)
    with database.session() as session:
        session.get(Job, job.id).status = "CANCELLED"
    assert "a.tif was deleted" in page.post(url, follow_redirects=True).text
    assert images(database) == []
    assert [file for file in storage.project(PROJECT).rglob("*") if file.is_file()] == []


def test_what_is_of_another_project_is_not_found(page, database):
    send(page, ("a.tif", tiff()))
    (image,) = images(database)
    begun = page.post(f"/projects/{PROJECT}/uploads", data={"name": "a.tif", "size": 9}).json
    with database.session() as session:
        session.add(Project(id="b" * 32, name="others"))
    for path in (f"images/{image.id}", f"images/{image.id}/preview.png", f"uploads/{begun['id']}"):
        assert page.get(f"/projects/{'b' * 32}/{path}").status_code == 404
    assert page.get(f"/projects/{'c' * 32}/data").status_code == 404


def test_links_are_offered_where_they_are_enabled_only(page):
    assert "link" not in page.get(DATA).text.split("<main")[1].split("</main")[0].lower().replace("links", "")
    answer = page.post(f"{DATA}/link", data={"link": "https://zenodo.org/a.tif"})
    assert (answer.status_code, "not enabled" in answer.text) == (400, True)


def test_a_disk_that_fills_before_the_page_is_asked_is_told(page, app, monkeypatch):
    monkeypatch.setattr(
        uploads, "append", lambda *unused: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    answer = page.post(DATA, data={"files": (io.BytesIO(tiff()), "a.tif")})
    assert (answer.status_code, "Nothing more can be written" in answer.text) == (507, True)
