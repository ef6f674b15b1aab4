"""Pairs, their split, the data check, and the examples."""

import dataclasses
import re

import pytest
from sqlalchemy import select

from trustworthy.studio.db.tables import Job, Pair, Project
from trustworthy.studio.examples import EXAMPLES, QUICK, use_example
from trustworthy.studio.web.pages import pairs, repository


@pytest.fixture
def small(monkeypatch):
    """An example that is made in no time."""
    example = dataclasses.replace(EXAMPLES["cells/msc-dense"], settings={"fields": 4, "size": 48})
    monkeypatch.setitem(EXAMPLES, example.name, example)
    return example.name


@pytest.fixture
def project(small, database, storage, settings):
    return use_example(database, storage, settings, small).id


@pytest.fixture
def saved(database, project):
    """Pairs as they are now: by name, id and part."""

    def pairs():
        with database.reading() as session:
            found = session.scalars(select(Pair).where(Pair.project_id == project).order_by(Pair.name))
            return {pair.name: (pair.id, pair.part) for pair in found}

    return pairs


def test_pairs_are_undone_and_made_by_name_and_by_hand(client, project, saved, database):
    before = saved()
    page = f"/projects/{project}/pairs"
    answer = client.post(f"{page}/save", data={"undo": [pair for pair, _ in before.values()]}, follow_redirects=True)
    assert "4 undone" in answer.text
    assert "4 pairs found by name" in answer.text
    assert "8 images without a partner" in answer.text
    with database.reading() as session:
        images = {image.name: image.id for image in session.get_one(Project, project).images}
    (source, other), (target, _) = (
        sorted(found for name, found in images.items() if kind in name)[:2] for kind in ("phase", "fluor")
    )
    refused = client.post(f"{page}/by-hand", data={"source": target, "target": source})
    assert (refused.status_code, saved()) == (400, {})
    client.post(f"{page}/by-hand", data={"source": source, "target": target})
    assert client.post(f"{page}/by-hand", data={"source": source, "target": other}).status_code == 400
    assert len(saved()) == 1
    answer = client.post(f"{page}/by-name", follow_redirects=True)
    assert "pairs were made" in answer.text


def test_the_split_is_shown_and_changed(client, project, saved):
    page = f"/projects/{project}/pairs"
    shown = client.get(page).text
    assert re.findall(r'(Training|Validation|Test) <span class="number">(\d)', shown) == [
        ("Training", "2"), ("Validation", "1"), ("Test", "1"),
    ]  # fmt: skip
    trains = [name for name, (_, part) in saved().items() if part == "train"]
    client.post(
        f"{page}/save",
        data={f"part-{pair}": "none" if name == trains[0] else part for name, (pair, part) in saved().items()},
    )
    assert saved()[trains[0]][1] == "none"
    for seed in ("1", "2", "3"):
        client.post(f"{page}/split", data={"validation": "20", "test": "50", "seed": seed})
        assert saved()[trains[0]][1] == "none"
    client.post(f"{page}/split", data={"validation": "20", "test": "50", "seed": "3", "forget": "on"})
    assert sorted(part for _, part in saved().values()) == ["test", "test", "train", "validation"]


def test_refuses_in_words(client, project, saved):
    before = saved()
    for given, words in (
        ({"validation": "60", "test": "60"}, "leave pairs to train on, got 120% together"),
        ({"test": "-1"}, "0 to 90 per cent, got -1"),
        ({"test": "nan"}, "0 to 90 per cent, got nan"),
        ({"seed": "x"}, "seed: "),
    ):
        answer = client.post(f"/projects/{project}/pairs/split", data=given)
        assert (answer.status_code, saved()) == (400, before)
        assert words in answer.text


def test_the_check_goes_on_until_all_were_looked_at(client, project, saved, monkeypatch):
    page = f"/projects/{project}/check"
    monkeypatch.setattr(pairs, "SECONDS", 0)
    for path in (page, f"{page}/more"):
        assert f'hx-get="{page}/more?page=1"' in client.get(path).text
    answer = client.post(page, follow_redirects=True).text
    assert "hx-get" not in answer
    assert "4 pairs" in answer
    assert "2 to train, 1 to validate, 1 to test." in answer
    assert len(re.findall("<figure", answer)) == 4
    undone = {"undo": [pair for pair, _ in saved().values()][1:]}
    client.post(f"/projects/{project}/pairs/save", data=undone)
    answer = client.get(page).text
    assert "One pair alone cannot be trained on" in answer
    assert "6 images without a partner" in answer


def test_a_pair_says_what_is_wrong_with_it(client, project, saved, database):
    with database.session() as session:
        first, second, *_ = session.scalars(select(Pair).order_by(Pair.part))
        assert (first.part, second.part) == ("test", "train")
        first.source.sha256 = second.source.sha256
    page = client.get(f"/projects/{project}/check").text
    marked = re.findall(
        r'<span class="name">([^<]*)</span>(?:(?!</figcaption>).)*flag-stop">The same image', page, re.S
    )
    assert set(marked) == {first.name, second.name}


def test_the_tick_of_the_check_says_that_nothing_is_to_be_mended(client, project, saved, database):
    def step():
        told = re.search(
            r'step-(\w+)">(?:(?!<h2>).)*<h2>Check <span[^>]*>· ([^<]*)', client.get(f"/projects/{project}").text, re.S
        )
        return told.groups()

    assert step() == ("next", "not looked at as they are now")
    client.post(f"/projects/{project}/check")
    assert step() == ("done", "nothing is to be mended")
    pair = next(pair for pair, part in saved().values() if part == "train")
    client.post(f"/projects/{project}/pairs/save", data={f"part-{pair}": "none"})
    assert step() == ("next", "not looked at as they are now")
    with database.session() as session:
        first, second, *_ = session.scalars(select(Pair).where(Pair.part != "none").order_by(Pair.part))
        first.source.sha256 = second.source.sha256  # the same image in training and test
    client.post(f"/projects/{project}/check")
    assert step() == ("next", "something is to be mended")


def test_examples_are_shown_and_tried(client, small, database, monkeypatch, tmp_path):
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    repository._pictures.cache_clear()
    page = client.get("/repository").text
    assert page.count("Try it<span") == 2
    assert "put its files into microscopy/ecoli" in page
    assert client.get(f"/repository/{small}/target.png").data.startswith(b"\x89PNG")
    assert [client.get(f"/repository/{name}/source.png").status_code for name in ("ecoli", "none")] == [404, 404]
    answer = client.post(f"/repository/{small}/try")
    with database.reading() as session:
        job = session.scalars(select(Job)).one()
        assert (job.status, job.kind, len(job.settings["places"])) == ("QUEUE", "train", 4)
        assert job.settings["settings"] == QUICK.model_dump(mode="json")
    assert answer.location == f"/jobs/{job.id}"
    answer = client.post(f"/repository/{small}/use", follow_redirects=True)
    assert "is a project now" in answer.text
    assert client.post("/repository/ecoli/try").status_code == 400
