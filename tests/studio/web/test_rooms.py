"""Help, system and settings."""

import re
from datetime import timedelta

import pytest

from trustworthy.studio import system
from trustworthy.studio.db.tables import Job, Project, now
from trustworthy.studio.settings import Settings
from trustworthy.studio.training.control import CONTROLS
from trustworthy.studio.web.pages.settings import GROUPS
from trustworthy.studio.web.words import duration, moment, size


def test_every_setting_is_explained_and_shown(client, settings):
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(Settings.model_fields)
    page = client.get("/settings").text
    assert f"{settings.data_dir}/studio.toml" in page
    assert re.search("Largest file that can be uploaded.*?17 GB", page, re.S)


def test_a_password_of_the_database_is_on_no_page():
    assert "secret" not in system.database_words("postgresql+psycopg://studio:secret@host/studio")


def test_a_link_for_another_browser_and_the_way_out(client, app):
    link = re.search(r"http://127[^<]*", client.post("/settings/link").text)[0]
    other = app.test_client()
    assert other.get(link.removeprefix("http://127.0.0.1:8420")).status_code == 302
    client.post("/settings/leave")
    assert [each.get("/").status_code for each in (client, other)] == [403, 200]


def test_help_has_every_number_and_no_dead_anchor(client):
    page = client.get("/help").text
    for control in CONTROLS.values():
        assert control.label in page
    assert set(re.findall(r'href="#(\w+)"', page)) - {"content"} == set(re.findall(r'<h2 id="(\w+)"', page))


def test_the_system_says_what_waits_and_what_is_stored(client, database, storage):
    soon = now() + timedelta(minutes=1)
    with database.session() as session:
        project = Project(name="a")
        session.add(project)
        session.flush()
        session.add_all(
            Job(project_id=project.id, kind="train", status=status, settings={}, worker="host-7", lease_until=soon)
            for status in ("QUEUE", "SUBMIT", "RUN", "SUCCESS")
        )
    storage.image(project.id, "0" * 32, ".tif").write_bytes(b"1" * 2_500_000)
    page = client.get("/system").text
    facts = dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>([^<]*)", page))
    assert (facts["Waiting"].strip(), facts["Running now"].strip(), facts["Images"]) == ("2", "1", "2.5 MB")
    assert "by host-7" in page
    assert facts["Run on"].startswith("the CPU")


@pytest.mark.parametrize(
    ("wanted", "cuda", "told"),
    [
        ("cpu", "12.8", "the settings ask for it"),
        ("auto", None, "no GPU: this PyTorch was built without CUDA"),
        ("auto", "12.8", "no GPU: PyTorch finds no NVIDIA GPU"),
        ("cuda", None, "nowhere: cuda is set, but this PyTorch"),
    ],
)
def test_why_there_is_no_gpu(monkeypatch, wanted, cuda, told):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", cuda)
    assert told in system.device_words(wanted)


def test_the_doctor_needs_no_studio(tmp_path):
    told = "\n".join(system.report(Settings(data_dir=tmp_path / "none", device="cpu")))
    assert "jobs run on the CPU" in told
    assert "torch 2" in told
    assert not (tmp_path / "none").exists()


def test_numbers_in_words():
    assert [size(count) for count in (0, 999, 1500, 25e6, 3e12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "25 MB",
        "3.0 TB",
    ]
    assert [duration(seconds) for seconds in (None, 3.2, 65, 120, 1799, 5400, 200_000)] == [
        "–", "3 s", "1 min 5 s", "2 min", "29 min", "1 h 30 min", "2 days 7 h",
    ]  # fmt: skip
    assert re.fullmatch(r'<time datetime="[-\d]+T[:.\d]+\+00:00">[-\d]+ [:\d]+ UTC</time>', moment(now()))
    assert moment(None) == "–"
