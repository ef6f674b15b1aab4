from datetime import timedelta

from trustworthy.studio.db.tables import Job, now
from trustworthy.studio.jobs import leases
from trustworthy.studio.jobs.states import CANCELLED, QUEUE, RUN, SUCCESS


def claimed(place, seconds=30.0):
    with place.database.session() as session:
        return leases.claim(session, "me", seconds)


def job(place, job_id):
    with place.database.reading() as session:
        return session.get_one(Job, job_id)


def test_the_oldest_job_is_claimed_once_and_by_a_new_token(place):
    first, second = place.submit(), place.submit()
    jobs = [claimed(place) for _ in range(3)]
    assert [each and each.id for each in jobs] == [first, second, None]
    assert jobs[0].token != jobs[1].token
    assert (jobs[0].status, jobs[0].worker, jobs[0].attempts) == (RUN, "me", 1)
    assert timedelta(seconds=28) < jobs[0].lease_until - now() <= timedelta(seconds=30)


def test_who_has_lost_the_lease_changes_nothing(place):
    place.submit()
    late = claimed(place, seconds=-1.0)
    with place.database.session() as session:
        assert leases.expire(session) == 1
        assert leases.expire(session) == 0
    new = claimed(place)
    assert (new.id, new.attempts) == (late.id, 2)
    with place.database.session() as session:
        assert not leases.beat(session, late.id, late.token, 30.0, progress=0.9)
        assert not leases.finish(session, late.id, late.token, SUCCESS)
        assert leases.beat(session, new.id, new.token, 60.0, progress=0.5)
    assert (job(place, new.id).progress, job(place, new.id).status) == (0.5, RUN)
    with place.database.session() as session:
        assert leases.finish(session, new.id, new.token, SUCCESS)
        assert not leases.finish(session, new.id, new.token, SUCCESS)
    ended = job(place, new.id)
    assert (ended.status, ended.token, ended.lease_until) == (SUCCESS, None, None)
    assert ended.ended >= ended.started


def test_the_jobs_of_a_worker_that_has_ended_are_free_at_once(place):
    kept, stopped = place.submit(), place.submit()
    claimed(place), claimed(place)
    with place.database.session() as session:
        session.get_one(Job, stopped).cancelling = True
    with place.database.session() as session:
        assert leases.give_back(session, "another") == 0
        assert leases.give_back(session, "me") == 2
    assert (job(place, stopped).status, job(place, stopped).cancelling) == (CANCELLED, False)
    assert (job(place, kept).status, job(place, kept).token) == (QUEUE, None)
