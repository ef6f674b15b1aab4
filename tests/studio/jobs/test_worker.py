import json
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

import chained
from trustworthy.studio.db.tables import Job, Model, now
from trustworthy.studio.jobs import leases, publishing
from trustworthy.studio.jobs.executor import LocalExecutor
from trustworthy.studio.jobs.progress import read_progress
from trustworthy.studio.jobs.states import CANCELLED, FAILURE, QUEUE, RUN, SUCCESS
from trustworthy.studio.jobs.submitting import cancel, retry
from trustworthy.studio.jobs.worker import Worker


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr("trustworthy.studio.jobs.worker.LOOK_SECONDS", 0.05)


def worker(place, manner, **settings):
    settings = place.settings.model_copy(update={"attempts": 2, **settings})
    return Worker(settings, LocalExecutor((sys.executable, chained.__file__, manner)))


class AtOnce:
    """Where a job is done before `start` is back, for tests of what comes before and after that."""

    def start(self, attempt):
        chained.work(attempt, json.loads((attempt / "job.json").read_text())["task"], seconds=0)
        return self

    def poll(self):
        return 0

    def kill(self):
        pass


def done_at_once(place, attempts=2):
    return Worker(place.settings.model_copy(update={"attempts": attempts}), AtOnce()).work()


def job(place, job_id):
    with place.database.reading() as session:
        return session.get_one(Job, job_id)


def models(place):
    with place.database.reading() as session:
        return session.query(Model).all()


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def in_background(worker):
    thread = threading.Thread(target=worker.work, daemon=True)
    thread.start()
    return thread


def ended(thread):
    thread.join(20)
    return not thread.is_alive()


def begun(place, job_id, attempt=1):
    """The process of an attempt that has begun its work."""
    file = place.storage.attempt(job_id, attempt) / "pid"
    return int(wait_for(lambda: file.is_file() and file.read_text()))


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def weights(place, job_id):
    return (place.storage.model(job_id) / "weights").read_text()


def test_a_job_is_done_published_and_tidied(place):
    job_id = place.submit(seed=5)
    doing = worker(place, "work")
    assert doing.work()
    assert not doing.work()
    done = job(place, job_id)
    assert (done.status, done.progress, done.model_id, done.token) == (SUCCESS, 1.0, job_id, None)
    assert (place.storage.result(job_id) / "result.json").is_file()
    assert weights(place, job_id) == chained.last(5)
    (model,) = models(place)
    assert (model.id, model.name, model.about["summary"]) == (job_id, "wells", {"pearson": 0.5})
    attempt = place.storage.attempt(job_id, 1)
    assert sorted(path.name for path in attempt.iterdir()) == ["job.json", "log.txt", "progress.jsonl"]
    assert len(read_progress(attempt)) == chained.EPOCHS


@pytest.mark.parametrize(
    ("manner", "attempts", "reason"),
    [
        ("told", 1, "The images are empty."),
        ("crash", 1, r"ended unexpectedly \(code 1\): KeyError: 'axes'. The log has more."),
        (
            "killed",
            2,
            r"memory of the computer ran out. .* a smaller batch size \(now 8\) or a smaller patch size \(now 128\)",
        ),
        ("empty", 1, "ended without a result"),
        ("stall", 1, "no progress for 0 seconds"),
    ],
)
def test_a_failure_says_why_and_is_tried_again_where_that_may_help(place, manner, attempts, reason):
    job_id = place.submit()
    doing = worker(place, manner, stall_seconds=0.1 if manner == "stall" else 60.0, attempts=attempts)
    while doing.work():
        pass
    failed = job(place, job_id)
    assert (failed.status, failed.attempts) == (FAILURE, attempts)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(failed.reason)
    assert models(place) == []


def test_cancelling_takes_effect_within_two_seconds_and_what_there_is_can_be_finished(place, monkeypatch):
    job_id = place.submit()
    thread = in_background(worker(place, "slow"))
    pid = begun(place, job_id)
    (place.storage.attempt(job_id, 1) / "checkpoints").mkdir()
    (place.storage.attempt(job_id, 1) / "checkpoints" / "state.json").write_text('[3, "so far"]')
    monkeypatch.undo()
    start = time.monotonic()
    with place.database.session() as session:
        cancel(session, job_id)
    wait_for(lambda: job(place, job_id).status == CANCELLED)
    assert time.monotonic() - start < 2.0
    assert not is_alive(pid)
    assert ended(thread)
    with place.database.session() as session:
        retry(session, job_id, finish=True)
    assert done_at_once(place)
    assert (job(place, job_id).status, weights(place, job_id)) == (SUCCESS, "so far")


def test_a_worker_that_is_stopped_leaves_its_job_to_the_next_one_which_goes_on(place):
    job_id = place.submit(seed=7)
    first = worker(place, "slow")
    thread = in_background(first)
    pid = begun(place, job_id)
    state = place.storage.attempt(job_id, 1) / "checkpoints" / "state.json"
    state.parent.mkdir()
    state.write_text(f'[4, "{chained.last(7, epochs=4)}"]')
    first.stop.set()
    assert ended(thread)
    assert not is_alive(pid)
    waiting = job(place, job_id)
    assert (waiting.status, waiting.attempts, waiting.forgiven) == (QUEUE, 1, 1)
    assert done_at_once(place, attempts=1)
    assert (job(place, job_id).status, weights(place, job_id)) == (SUCCESS, chained.last(7))
    assert len(read_progress(place.storage.attempt(job_id, 2))) == chained.EPOCHS - 4


def test_an_attempt_that_has_lost_its_lease_is_ended_and_publishes_nothing(place):
    job_id = place.submit(seed=2)
    late = worker(place, "deaf", lease_seconds=30.0)
    thread = in_background(late)
    pid = begun(place, job_id)
    old = job(place, job_id)
    with place.database.session() as session:
        session.get_one(Job, job_id).lease_until = now() - timedelta(seconds=1)
        leases.expire(session)
    assert done_at_once(place)
    assert ended(thread)
    assert not is_alive(pid)
    assert (job(place, job_id).status, job(place, job_id).attempts) == (SUCCESS, 2)
    left = place.storage.attempt(job_id, 1) / "result"
    left.mkdir(parents=True)
    (left / "result.json").write_bytes((place.storage.result(job_id) / "result.json").read_bytes())
    with place.database.session() as session:
        assert not publishing.publish(session, place.storage, old)
    assert left.is_dir()
    assert weights(place, job_id) == chained.last(2)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(5))
def test_publishing_that_is_cut_short_is_completed_or_done_again(place, monkeypatch, step):
    """In place of kill -9: before and after each renaming, and before the transaction is committed."""
    job_id = place.submit(seed=4)
    left = [step]
    rename = type(place.storage.root).rename

    def count():
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def counted(path, target):
        count()
        moved = rename(path, target)
        count()
        return moved

    def merged(session, model):
        count()

    with place.database.session() as session:
        claimed = leases.claim(session, "me", 60.0)
    chained.publishable(publishing.begin(place.storage, claimed), claimed.settings, chained.last(4))
    with monkeypatch.context() as patch:
        patch.setattr(type(place.storage.root), "rename", counted)
        patch.setattr("sqlalchemy.orm.Session.merge", merged)
        with pytest.raises(Killed), place.database.session() as session:
            publishing.publish(session, place.storage, claimed)
    assert (job(place, job_id).status, models(place)) == (RUN, [])
    with place.database.session() as session:
        leases.give_back(session, "me")
    assert done_at_once(place)
    assert (job(place, job_id).status, [model.id for model in models(place)]) == (SUCCESS, [job_id])
    assert weights(place, job_id) == chained.last(4)


def test_a_job_whose_workers_are_lost_too_often_fails(place):
    job_id = place.submit()
    for _ in range(2):
        with place.database.session() as session:
            leases.claim(session, "lost", -1.0)
            leases.expire(session)
    assert worker(place, "work").work()
    assert (job(place, job_id).status, job(place, job_id).reason[:25]) == (FAILURE, "The process that looks af")


def test_what_it_started_ends_with_a_supervisor_that_is_killed(tmp_path):
    lines = (
        "import sys, time, pathlib",
        "from trustworthy.studio.jobs.executor import LocalExecutor",
        f"LocalExecutor((sys.executable, {chained.__file__!r}, 'stall')).start(pathlib.Path(sys.argv[1]))",
        "time.sleep(60)",
    )
    (tmp_path / "job.json").write_text('{"task": {}}')
    supervisor = subprocess.Popen([sys.executable, "-c", "\n".join(lines), str(tmp_path)])
    file = tmp_path / "pid"
    pid = int(wait_for(lambda: file.is_file() and file.read_text()))
    assert is_alive(pid)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    wait_for(lambda: not is_alive(pid), seconds=5)
