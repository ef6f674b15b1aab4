import html
import re

import pytest

from studio.viewer.finished import project_with_pairs
from trustworthy.studio.db.tables import Job, Model
from trustworthy.studio.images.description import Description
from trustworthy.studio.jobs.states import QUEUE
from trustworthy.studio.training.control import CONTROLS, TrainingSettings
from trustworthy.studio.training.estimating import Estimate
from trustworthy.studio.web.pages import train

FORM = {
    "name": "Tuesday, again", "method": "fast", "epochs": "20", "members": "5", "batch_size": "4",
    "learning_rate": "0.5", "weight_decay": "2.5", "dropout": "0.1", "patch": "64", "width": "8", "patience": "7",
    "seed": "3", "tolerance": "", "start_from": "", "source_channels": ["0"],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """What an estimate was made of; it takes no measurement here."""
    asked = []

    def estimate(*given):
        asked.append(given)
        return Estimate(seconds=754, memory_bytes=820_000_000, disk_bytes=0, patches=1234, steps=15500)

    monkeypatch.setattr(train, "estimate", estimate)
    return asked


@pytest.fixture
def project(database):
    with database.session() as session:
        return project_with_pairs(session, description=Description(axes="CYX", shape=(2, 64, 64), dtype="uint16"))


def plain(answer):
    return html.unescape(re.sub(r"\s+", " ", answer.text))


def value(text, name):
    return re.search(rf'id="{name}"[^>]* value="([^"]*)"', text)[1]


def test_the_panel_has_the_ranges_and_defaults_of_the_dissertation(client, project):
    text = plain(client.get(f"/projects/{project.id}/train"))
    for name, control in CONTROLS.items():
        box = re.search(rf'<input[^>]* id="{name}"[^>]*>', text)[0]
        assert [float(re.search(rf' {end}="([^"]*)"', box)[1]) for end in ("min", "max", "step", "value")] == [
            control.low, control.high, control.step, control.default,
        ]  # fmt: skip
        assert f'aria-describedby="{name}-help"' in box
        assert control.advice in text
    assert re.findall(r"<dd>(\d+)</dd>", text)[:3] == ["2", "1", "1"]
    assert "<script>" not in text
    assert "style=" not in text


def test_a_submitted_panel_is_a_job_in_the_queue_with_these_settings_and_its_estimate(client, database, project, asked):
    answer = client.post(f"/projects/{project.id}/train", data=FORM)
    with database.reading() as session:
        job = session.query(Job).one()
    assert answer.location == f"/jobs/{job.id}"
    assert (job.name, job.status, job.estimate["seconds"]) == ("Tuesday, again", QUEUE, 754)
    settings = TrainingSettings(**job.settings["settings"])
    assert settings == TrainingSettings(
        method="fast", epochs=20, members=5, batch_size=4, learning_rate=0.5, weight_decay=2.5, dropout=0.1, patch=64,
        width=8, patience=7, seed=3, source_channels=(0,),
    )  # fmt: skip
    ((given, sources, parts, *where),) = asked
    assert (given, where) == (settings, ["cpu", 1])
    assert [source.shape for source in sources] == [(2, 64, 64)] * 4
    assert sorted(parts) == ["test", "train", "train", "validation"]


WRONG = (
    ({"epochs": "1000000000"}, "Epochs must be 10 to 200, got 1e+09"),
    ({"batch_size": "0"}, "Batch size must be 1 to 16, got 0"),
    ({"dropout": "nan"}, "Dropout must be 0 to 0.9, got nan"),
    ({"members": "1"}, "fast needs an ensemble size of at least 2"),
    ({"patch": "100"}, "multiple of 16"),
    ({"method": "'; drop table job"}, 'got "\'; drop table job"'),
    ({"start_from": "0" * 32}, "there is no model"),
)


def test_the_server_refuses_what_is_out_of_range_and_keeps_what_was_typed(client, database, project, asked):
    for wrong, said in WRONG:
        answer = client.post(f"/projects/{project.id}/train", data={**FORM, **wrong})
        text = plain(answer)
        assert answer.status_code == 400
        assert said in text
        assert value(text, "seed") == "3"
        assert value(text, "name") == "Tuesday, again"
    with database.reading() as session:
        assert session.query(Job).count() == 0


def test_an_estimate_is_a_line_for_the_script_and_the_whole_panel_without(client, project, asked):
    url = f"/projects/{project.id}/train/estimate"
    line = plain(client.post(url, data=FORM, headers={"HX-Request": "true"}))
    whole = plain(client.post(url, data=FORM))
    for text in (line, whole):
        assert all(said in text for said in ("about 12 min", "820 MB", "1,234 patches", "15,500 steps"))
    assert "<form" not in line
    assert value(whole, "epochs") == "20"
    assert "One network" not in line
    alone = {**FORM, "members": "1", "method": "naive"}
    assert "One network cannot disagree" in client.post(url, data=alone, headers={"HX-Request": "true"}).text
    fault = client.post(url, data={**FORM, "members": "11"}, headers={"HX-Request": "true"})
    assert fault.status_code == 200
    assert "must be 1 to 10" in fault.text


def test_a_model_to_start_from_brings_its_settings(client, database, project):
    with database.session() as session:
        about = {"settings": TrainingSettings(members=4, method="snapshot", epochs=33).model_dump(mode="json")}
        model = Model(project_id=project.id, name="Monday", about=about)
        session.add(model)
        session.flush()
    text = plain(client.get(f"/projects/{project.id}/train?start_from={model.id}"))
    assert (value(text, "epochs"), value(text, "members")) == ("33", "4")
    assert re.search(rf'<option value="{model.id}" selected>Monday', text)
    assert 'value="snapshot" checked' in text


def test_a_training_is_repeated_from_its_settings(client, project, asked):
    job = client.post(f"/projects/{project.id}/train", data=FORM).location.rpartition("/")[2]
    text = plain(client.get(f"/projects/{project.id}/train?like={job}"))
    assert [value(text, name) for name in ("epochs", "learning_rate", "seed")] == ["20", "0.5", "3"]
    assert re.search(r'<option value="" selected>A new network', text)


def test_one_pair_cannot_train_and_says_where_to_go(client, database, asked):
    with database.session() as session:
        project = project_with_pairs(session, ("train",))
    text = plain(client.get(f"/projects/{project.id}/train"))
    assert f'href="/projects/{project.id}/pairs"' in text
    assert text.count(" disabled>") == 2
    refused = client.post(f"/projects/{project.id}/train", data=FORM)
    assert refused.status_code == 400
    assert "One pair alone" in plain(refused)
