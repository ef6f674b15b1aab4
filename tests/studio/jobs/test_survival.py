"""Whole processes, killed by kill -9 at random moments: slow."""

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import psutil
import pytest
import tifffile

import chained
import studio_of_chains
from trustworthy.studio.db.tables import Image, Job, Model
from trustworthy.studio.jobs.executor import LocalExecutor
from trustworthy.studio.jobs.states import SUCCESS
from trustworthy.studio.jobs.worker import Worker
from trustworthy.studio.serving import _environ

pytestmark = pytest.mark.slow
CHAINED = (sys.executable, studio_of_chains.__file__)
REAL = (sys.executable, "-m", "trustworthy", "studio", "--no-open")
CLAIM = """
import sys
from trustworthy.studio.db.database import Database
from trustworthy.studio.jobs import leases
database = Database(sys.argv[1])
while True:
    with database.session() as session:
        job = leases.claim(session, "w", 60.0)
    if job is None:
        break
    print(job.id)
    with database.session() as session:
        assert leases.finish(session, job.id, job.token, "SUCCESS")
"""


class Studio:
    """The processes of a studio, as the system sees them."""

    def __init__(self, command, settings, log):
        self.command, self.log = command, log
        self.environ = {**os.environ, **_environ(settings), "PYTHONPATH": os.pathsep.join(sys.path)}
        self.web = None

    def start(self):
        self.web = subprocess.Popen(self.command, env=self.environ, stdout=self.log, stderr=self.log)

    def processes(self):
        """The web, its worker, and the child of that, as far as they are there."""
        found = [psutil.Process(self.web.pid)]
        while children := found[-1].children():
            found.append(children[0])
        return found

    def stop(self):
        self.web.send_signal(signal.SIGTERM)
        self.web.wait(30)


@pytest.fixture
def studio(place, tmp_path):
    """Starts a studio by its command, on the folder of `place`; ends it."""
    started = []

    def start(command, **settings):
        values = {"port": 0, "lease_seconds": 3.0, "attempts": 100, **settings}
        log = (tmp_path / "log.txt").open("ab")
        started.append((Studio(command, place.settings.model_copy(update=values), log), log))
        started[-1][0].start()
        return started[-1][0]

    yield start
    for each, log in started:
        if each.web.poll() is None:
            each.stop()
        log.close()


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def jobs(place):
    with place.database.reading() as session:
        return session.query(Job).order_by(Job.created).all()


def paint(place):
    """Pixels for all images: a target that can be learnt from its source, and a validation pair too."""
    with place.database.session() as session:
        place.pair(session, "2", "validation")
        for number, image in enumerate(session.query(Image).order_by(Image.name)):
            rng = np.random.default_rng(number % 3)
            values = rng.integers(100, 4000, (48, 48))
            path = place.storage.image(place.project, image.id, ".tif")
            image.description = {"axes": "YX", "shape": [48, 48], "dtype": "uint16"}
            image.sha256 = hashlib.sha256(bytes([number])).hexdigest()
            tifffile.imwrite(path, (values if image.role == "source" else 1000 + values // 2).astype(np.uint16))


def outcome(place, job_id):
    """Digests of the weights, and of the numbers that came out."""
    folders = (place.storage.model(job_id), place.storage.result(job_id))
    files = [path for folder in folders for path in folder.glob("*") if path.suffix in (".safetensors", ".csv")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", ["chained", "real"])
def test_twenty_kills_lose_no_job_complete_none_twice_and_change_no_result(place, studio, kind):
    if kind == "chained":
        command, executor = CHAINED, LocalExecutor((sys.executable, chained.__file__, "work"))
        ids = [place.submit(seed=seed, epochs=100) for seed in range(6)]
    else:
        paint(place)
        command, executor = REAL, LocalExecutor()
        tiny = {"epochs": 200, "patch": 32, "width": 4, "depth": 2, "members": 2}
        ids = [place.submit(seed=0, **tiny) for _ in range(2)]
        undisturbed = place.submit(seed=0, **tiny)
        with place.database.session() as session:
            session.get_one(Job, undisturbed).created = session.get_one(Job, ids[0]).created.replace(year=2000)
        Worker(place.settings, executor).work()
        expected = outcome(place, undisturbed)
        assert {"model.safetensors", "metrics.csv"} <= expected.keys()
    with sqlite3.connect(place.settings.data_dir / "studio.sqlite") as connection:
        connection.execute("create table completed (id text)")
        connection.execute(
            "create trigger completing after update of status on job when new.status = 'SUCCESS' and old.status != "
            "'SUCCESS' begin insert into completed values (new.id); end"
        )
    rng, killed = random.Random(0), []
    running = studio(command)
    while len(killed) < 20 and not all(job.status == SUCCESS for job in jobs(place)):
        if running.web.poll() is not None:
            running.start()
        at = rng.randrange(3)
        victim = wait_for(lambda at=at: (found := running.processes())[at:] and found[at], 180)
        time.sleep(rng.uniform(0.0, 4.0 if kind == "chained" else 20.0))
        if victim.is_running():
            victim.kill()
            killed.append(("web", "worker", "child")[at])
        if at == 0:
            running.web.wait()
    if running.web.poll() is not None:
        running.start()
    wait_for(lambda: all(job.status == SUCCESS for job in jobs(place)), 600)
    assert (len(killed), len(set(killed))) == (20, 3)
    assert sum(job.attempts for job in jobs(place)) > len(ids) + 5
    with sqlite3.connect(place.settings.data_dir / "studio.sqlite") as connection:
        completed = [row[0] for row in connection.execute("select id from completed")]
    assert sorted(completed) == sorted(ids)
    with place.database.reading() as session:
        assert {model.id for model in session.query(Model)} >= set(ids)
    for seed, job_id in enumerate(ids):
        if kind == "chained":
            assert (place.storage.model(job_id) / "weights").read_text() == chained.last(seed, epochs=100)
        else:
            assert outcome(place, job_id) == expected


def test_two_hundred_jobs_are_each_claimed_once_by_four_processes(place):
    ids = [place.submit() for _ in range(200)]
    command = [sys.executable, "-c", CLAIM, place.settings.url]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    claimed = [worker.communicate()[0].split() for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    assert sorted(job_id for each in claimed for job_id in each) == sorted(ids)
    assert sum(1 for each in claimed if each) > 1


def test_one_command_serves_pages_and_a_worker_and_all_end_together(place, studio, tmp_path):
    running = studio(REAL)
    link = wait_for(lambda: [word for word in (tmp_path / "log.txt").read_text().split() if "token=" in word], 60)[0]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(link.split("/enter")[0])
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert "Projects" in opener.open(link).read().decode()
    _, worker = wait_for(lambda: (found := running.processes())[1:] and found, 30)
    worker.kill()
    _, again = wait_for(lambda: (found := running.processes())[1:] and found[1].pid != worker.pid and found, 30)
    running.stop()
    assert not again.is_running()
    refused = subprocess.run(
        [*REAL, "--port", "1", "--host", "1.2.3.4"],
        env={**running.environ, "STUDIO_NETWORK": "true"},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert "cannot be served at 1.2.3.4, port 1" in refused.stderr
    running.start()
    _, worker = wait_for(lambda: (found := running.processes())[1:] and found, 60)
    running.web.kill()
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, 60)
