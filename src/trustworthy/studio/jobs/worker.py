"""A worker: it claims a job, starts an attempt at it, looks after that, and says how it ended."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Event
from typing import Any

from sqlalchemy import select

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Job
from trustworthy.studio.jobs import leases
from trustworthy.studio.jobs.executor import Executor, LocalExecutor, Running
from trustworthy.studio.jobs.progress import read_progress
from trustworthy.studio.jobs.publishing import CHECKPOINTS, begin, publish, tidy
from trustworthy.studio.jobs.reasons import LOST, NO_RESULT, Failure, failure_of, stalled
from trustworthy.studio.jobs.states import CANCELLED, FAILURE
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.task import Orders, Task

LOOK_SECONDS = 0.25
"""Between two looks at whether a job has ended, or is to stop."""
IDLE_SECONDS = 1.0
log = logging.getLogger(__name__)


class Stop(Enum):
    """Why a worker leaves an attempt that has not ended."""

    LOST = auto()  # the lease
    CANCELLED = auto()  # by a person
    STALLED = auto()
    ENDED = auto()  # the worker itself is to end


def new_name() -> str:
    """Of a worker: the host, the process, and what no other worker has, as processes of two containers may be alike."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass
class Worker:
    """One job at a time, until `stop` is set: then what runs goes back into the queue, and costs no attempt."""

    settings: Settings
    executor: Executor = field(default_factory=LocalExecutor)
    name: str = field(default_factory=new_name)
    stop: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.database = Database(self.settings.url)
        self.storage = Storage(self.settings.data_dir, self.settings.free_bytes)

    def run(self) -> None:
        """Work until `stop` is set. Trouble with one job does not end the worker: its lease runs out."""
        while not self.stop.is_set():
            try:
                idle = not self.work()
            except Exception:
                log.exception("the worker %s goes on after an error", self.name)
                idle = True
            if idle:
                self.stop.wait(IDLE_SECONDS)

    def work(self) -> bool:
        """Attend to one job; False where there is none."""
        with self.database.session() as session:
            leases.expire(session)
            job = leases.claim(session, self.name, self.settings.lease_seconds)
        if job is None:
            return False
        if self.storage.result(job.id).is_dir():  # a worker was killed before it could say so
            self._publish(job)
        elif job.attempts - job.forgiven > self.settings.attempts:
            self._finish(job, FAILURE, reason=job.reason or LOST.reason)
        else:
            self._attempt(job)
        return True

    def _attempt(self, job: Job) -> None:
        try:
            orders = self._orders(job)
            running = self.executor.start(orders.folder)
        except (OSError, ValueError) as error:
            self._fail(job, Failure(f"The job could not be started: {error}"))
            return
        try:
            outcome = self._watch(job, orders, running)
        finally:
            running.kill()
        self._conclude(job, orders, outcome)

    def _orders(self, job: Job) -> Orders:
        begin(self.storage, job)
        tidy(self.storage, job, kept=frozenset({CHECKPOINTS}))
        orders = Orders(
            task=Task(**job.settings),
            attempt=job.attempts,
            data_dir=self.settings.data_dir,
            device=self.settings.device,
            threads=self.settings.job_threads,
            free_bytes=self.settings.free_bytes,
        )
        orders.save()
        return orders

    def _watch(self, job: Job, orders: Orders, running: Running) -> int | Stop:
        """Look after an attempt until it ends, and give its exit code, or until there is a reason to leave it."""
        beaten, moved, lines = float("-inf"), time.monotonic(), 0
        while (code := running.poll()) is None:
            if time.monotonic() - beaten >= self.settings.beat_seconds:
                told = read_progress(orders.folder)
                if not self._beat(job, told):
                    return Stop.LOST
                beaten = time.monotonic()
                moved, lines = (moved, lines) if len(told) == lines else (beaten, len(told))
                if beaten - moved > self.settings.stall_seconds:
                    return Stop.STALLED
            if self._to_stop(job):
                return Stop.CANCELLED
            if self.stop.wait(LOOK_SECONDS):
                return Stop.ENDED
        return code

    def _beat(self, job: Job, told: list[dict[str, Any]]) -> bool:
        news: dict[str, Any] = {}
        for line in told:
            news.update({key: line[key] for key in ("progress", "stage", "seconds_left") if key in line})
        with self.database.session() as session:
            return leases.beat(session, job.id, job.token or "", self.settings.lease_seconds, **news)

    def _to_stop(self, job: Job) -> bool:
        with self.database.reading() as session:
            return bool(session.scalar(select(Job.cancelling).where(Job.id == job.id, Job.token == job.token)))

    def _conclude(self, job: Job, orders: Orders, outcome: int | Stop) -> None:
        match outcome:
            case Stop.LOST:
                log.warning("the lease of job %s was lost; this attempt publishes nothing", job.id)
            case Stop.CANCELLED:
                self._finish(job, CANCELLED, stage="")
            case Stop.STALLED:
                self._fail(job, stalled(self.settings.stall_seconds))
            case Stop.ENDED:
                self._requeue(job, forgiven=Job.forgiven + 1)
            case 0:
                self._publish(job)
            case code:
                self._fail(job, failure_of(code, orders.folder, orders.task))

    def _publish(self, job: Job) -> None:
        try:
            with self.database.session() as session:
                published = publish(session, self.storage, job)
        except (OSError, ValueError) as error:
            log.warning("job %s has no result that can be published: %s", job.id, error)
            self._fail(job, NO_RESULT)
            return
        if published:
            tidy(self.storage, job)

    def _fail(self, job: Job, failure: Failure) -> None:
        if failure.again and job.attempts - job.forgiven < self.settings.attempts:
            self._requeue(job, reason=failure.reason)
        else:
            self._finish(job, FAILURE, reason=failure.reason, stage="")

    def _requeue(self, job: Job, **columns: Any) -> None:
        with self.database.session() as session:
            leases.requeue(session, job.id, job.token or "", **columns)

    def _finish(self, job: Job, status: str, **columns: Any) -> None:
        with self.database.session() as session:
            leases.finish(session, job.id, job.token or "", status, **columns)
