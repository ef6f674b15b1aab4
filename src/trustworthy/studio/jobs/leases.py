"""Who may work on a job: a worker holds a lease of it, prolongs it by signs of life, and is fenced off once it is lost.

Every attempt has a token of its own. Who beats or finishes with a token that is no longer the job's changes nothing,
is told so, and then publishes nothing. Times are those of the database server, where there is one: hosts differ.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Update, func, select, update
from sqlalchemy.orm import Session

from trustworthy.studio.db.tables import Job, new_id, now
from trustworthy.studio.jobs.states import CANCELLED, QUEUE, RUN, before

FREE: dict[str, Any] = {"token": None, "worker": None, "lease_until": None, "seconds_left": None, "cancelling": False}
"""Columns of a job that nobody works on."""

_PLAIN = {"synchronize_session": False, "populate_existing": True}


def clock(session: Session) -> datetime:
    """Now, as all who share the database see it."""
    return now() if session.get_bind().dialect.name == "sqlite" else session.scalars(select(func.now())).one()


def claim(session: Session, worker: str, seconds: float) -> Job | None:
    """The oldest job in the queue, now of `worker` for `seconds`; None where there is none.

    It is one more attempt, with a new token. Of several workers that ask at once each gets another job.
    """
    moment = clock(session)
    oldest = select(Job.id).where(Job.status == QUEUE).order_by(Job.created, Job.id).limit(1)
    values = {
        "status": RUN,
        "token": new_id(),
        "worker": worker,
        "lease_until": moment + timedelta(seconds=seconds),
        "attempts": Job.attempts + 1,
        "started": moment,
        "ended": None,
    }
    chosen = oldest.with_for_update(skip_locked=True).scalar_subquery()
    claimed = update(Job).where(Job.id == chosen, Job.status == QUEUE).values(**values).returning(Job)
    return session.scalars(claimed, execution_options=_PLAIN).one_or_none()


def beat(session: Session, job_id: str, token: str, seconds: float, **columns: Any) -> bool:
    """Prolong the lease and write what is new; False where it is lost."""
    until = clock(session) + timedelta(seconds=seconds)
    return _changed(session, _held(job_id, token).values(lease_until=until, **columns))


def finish(session: Session, job_id: str, token: str, status: str, **columns: Any) -> bool:
    """End the job: it is `status` now, one of `states.ENDED`; False where the lease is lost."""
    ending = _held(job_id, token).where(Job.status.in_(before(status)))
    return _changed(session, ending.values({**FREE, "status": status, "ended": clock(session), **columns}))


def requeue(session: Session, job_id: str, token: str, **columns: Any) -> bool:
    """Let another attempt follow this one, or end the job if it is to stop; False where the lease is lost."""
    return _freed(session, (Job.id == job_id, Job.token == token), **columns) == 1


def give_back(session: Session, worker: str) -> int:
    """Put the jobs of a worker that has ended back into the queue; how many. Those that are to stop end."""
    return _freed(session, (Job.worker == worker,))


def expire(session: Session) -> int:
    """The same for jobs whose worker was not heard of in time."""
    return _freed(session, (Job.lease_until < clock(session),))


def _held(job_id: str, token: str) -> Update:
    return update(Job).where(Job.id == job_id, Job.token == token, Job.status == RUN)


def _freed(session: Session, lost: tuple[Any, ...], **columns: Any) -> int:
    """Of the jobs that run and were lost, end those that a person wants to stop, and queue the others."""
    of_lost = update(Job).where(Job.status == RUN, *lost)
    stopping = of_lost.where(Job.cancelling).values(**FREE, status=CANCELLED, ended=clock(session))
    waiting = of_lost.values(**FREE, status=QUEUE, **columns)
    return sum(_count(session, each) for each in (stopping, waiting))


def _changed(session: Session, statement: Update) -> bool:
    return _count(session, statement) == 1


def _count(session: Session, statement: Update) -> int:
    return len(session.scalars(statement.returning(Job.id), execution_options=_PLAIN).all())
