import re

import pytest

from trustworthy.studio.db.tables import Job
from trustworthy.studio.jobs import leases
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.jobs.states import CANCELLED, FAILURE, QUEUE, SUCCESS
from trustworthy.studio.web.curves import HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def running(place):
    """A job that a worker has begun."""
    job_id = place.submit(epochs=20, members=2)
    with place.database.session() as session:
        leases.claim(session, "me", 60.0)
    place.storage.attempt(job_id, 1).mkdir(parents=True)
    return job_id


def change(place, job_id, **columns):
    with place.database.session() as session:
        job = session.get_one(Job, job_id)
        for name, value in columns.items():
            setattr(job, name, value)


def status(place, job_id):
    with place.database.reading() as session:
        return session.get_one(Job, job_id).status


def test_the_list_shows_every_job_how_far_it_is_and_names_as_text(place, client, running):
    waiting = place.submit()
    change(place, running, progress=0.4, seconds_left=90.0, name=SCRIPT)
    text = client.get("/jobs").get_data(as_text=True)
    assert all(word in text for word in (running[:8], waiting[:8], "RUN", "QUEUE", "40 %, 1 min 30 s left", "every 2s"))
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    rows = client.get(f"/jobs/rows?project={place.project}").get_data(as_text=True)
    assert waiting[:8] in rows
    assert "<html" not in rows
    assert client.get("/jobs?project=" + "0" * 32).status_code == 404


def test_a_list_of_many_jobs_has_pages(place, client, monkeypatch):
    monkeypatch.setattr("trustworthy.studio.web.paging.SIZE", 2)
    ids = [place.submit()[:8] for _ in range(3)]
    pages = [client.get(f"/jobs?project={place.project}&page={number}").text for number in (1, 2, 9)]
    last = [True, False, False]
    assert [[each in page for each in ids] for page in pages] == [[False, True, True], last, last]
    for page, number in zip(pages, (1, 2, 2), strict=True):  # and the list asks for itself anew
        assert f'hx-get="/jobs/rows?page={number}&amp;project={place.project}"' in page
        assert re.findall(r'page=(\d)&amp;project=\w+" aria-current="page"', page) == [str(number)]


def test_a_running_job_shows_curves_notes_and_the_end_of_its_log(place, client, running):
    attempt = place.storage.attempt(running, 1)
    reporter = Reporter(attempt)
    for epoch in (1, 2):
        reporter.tell(curve={"member": 2, "epoch": epoch, "loss": 0.5 / epoch, "validation": None})
    reporter.tell(note="The prediction is moved by 3 pixels.")
    (attempt / "log.txt").write_text(f"epoch 1\n{SCRIPT}")
    change(place, running, stage="training network 2 of 2")
    for text in (client.get(f"/jobs/{running}{tail}").get_data(as_text=True) for tail in ("", "/live")):
        assert 'class="curve loss member-2"' in text
        assert "curve validation" not in text
        assert "moved by 3 pixels" in text
        assert "training network 2 of 2" in text
    assert client.get(f"/jobs/{running}/log?tail=1").get_data(as_text=True) == f"epoch 1\n{SCRIPT}".replace(
        "<", "&lt;"
    ).replace(">", "&gt;")
    whole = client.get(f"/jobs/{running}/log")
    assert (whole.mimetype, whole.get_data(as_text=True)) == ("text/plain", f"attempt 1\nepoch 1\n{SCRIPT}")


def test_what_can_be_done_with_a_job_depends_on_how_it_stands(place, client, running):
    def offered():
        text = client.get(f"/jobs/{running}").get_data(as_text=True)
        return [
            each for each in ("cancel", "retry", "finish", "delete", "results") if f"/jobs/{running}/{each}" in text
        ]

    assert offered() == ["cancel"]
    assert "<dd>1 to learn from, 1 held out for the test</dd>" in client.get(f"/jobs/{running}").get_data(as_text=True)
    assert client.post(f"/jobs/{running}/cancel").status_code == 302
    assert "is being cancelled" in client.get(f"/jobs/{running}").get_data(as_text=True)
    assert client.post(f"/jobs/{running}/delete").status_code == 400
    with place.database.session() as session:
        leases.give_back(session, "me")
    assert offered() == ["retry", "delete"]
    assert client.get(f"/jobs/{running}/live").headers["HX-Refresh"] == "true"
    (place.storage.attempt(running, 1) / "checkpoints").mkdir()
    assert offered() == ["retry", "finish", "delete"]
    client.post(f"/jobs/{running}/finish")
    assert status(place, running) == QUEUE
    with place.database.reading() as session:
        assert session.get_one(Job, running).settings["finish"]
    change(place, running, status=FAILURE, reason="The disk is full.")
    assert "The disk is full." in client.get(f"/jobs/{running}").get_data(as_text=True)
    client.post(f"/jobs/{running}/retry")
    assert status(place, running) == QUEUE
    client.post(f"/jobs/{running}/cancel")
    assert status(place, running) == CANCELLED
    change(place, running, status=SUCCESS, model_id=running)
    assert offered() == ["delete", "results"]
    assert client.post(f"/jobs/{running}/retry").status_code == 400
    assert "Delete for good" in client.get(f"/jobs/{running}/delete").get_data(as_text=True)
    assert client.post(f"/jobs/{running}/delete", follow_redirects=True).status_code == 200
    assert client.get(f"/jobs/{running}").status_code == 404
    assert not place.storage.job(running).exists()


@pytest.mark.parametrize("way", ["get", "post"])
def test_unknown_jobs_are_not_found(client, way):
    rooms = ("", "/live", "/log", "/delete") if way == "get" else ("/cancel", "/retry", "/finish", "/delete")
    for job_id in ("0" * 32, "..%2F..", SCRIPT):
        assert [getattr(client, way)(f"/jobs/{job_id}{room}").status_code for room in rooms] == [404] * 4


def points(line):
    return [tuple(map(float, point.split(","))) for point in line.points.split()]


def test_curves_lie_where_their_epochs_and_values_are():
    drawn = chart({1: {1: (4.0, None), 3: (1.0, 2.0), 2: (2.0, float("nan"))}}, epochs=3)
    loss, validation = drawn.lines
    right = WIDTH - RIGHT
    places = {label: place for place, label in drawn.y_ticks}
    assert points(loss) == [(LEFT, places["4"]), ((LEFT + right) / 2, places["2"]), (right, places["1"])]
    assert points(validation) == [(right, places["2"])]
    assert drawn.x_ticks[0] == (LEFT, "1")
    assert (drawn.rows[0].best, drawn.rows[0].best_epoch) == (2.0, 3)


def test_a_loss_that_falls_far_is_drawn_by_its_logarithm_and_a_constant_one_within_the_frame():
    drawn = chart({1: {1: (1.0, None), 2: (0.1, None), 3: (0.01, None)}}, epochs=10)
    heights = [height for _, height in points(drawn.lines[0])]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.1)
    flat = chart({1: {1: (0.0, None), 2: (0.0, None)}}, epochs=2)
    assert all(TOP <= height <= HEIGHT for _, height in points(flat.lines[0]))
    assert chart({}, epochs=10) is None
    assert chart({1: {1: (None, float("inf"))}}, epochs=10) is None
