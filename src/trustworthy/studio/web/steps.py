"""The way through a project: data, pairs, check, training, results; how far it has come, and what is next."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.studio.db.tables import Image, Job, Pair, counted
from trustworthy.studio.jobs.states import ENDED, SUCCESS
from trustworthy.studio.pairs.checking import last_check
from trustworthy.studio.pairs.splitting import NONE
from trustworthy.studio.storage import Storage
from trustworthy.studio.words import many

CHECKED = {None: "not looked at as they are now", True: "something is to be mended", False: "nothing is to be mended"}


@dataclass(frozen=True)
class Step:
    """One step. url : None while there is nothing to see. state : "done", "next", or "later". text : what there is."""

    name: str
    url: str | None
    state: str
    text: str
    advice: str


def steps_of(session: Session, storage: Storage, project_id: str) -> list[Step]:
    """All five, the first that is not done marked as next."""
    roles = counted(session, Image.role, Image.project_id == project_id)
    pairs = sum(counted(session, Pair.part, Pair.project_id == project_id, Pair.part != NONE).values())
    training = (Job.project_id == project_id, Job.kind == "train")
    states = counted(session, Job.status, *training)
    last = select(Job.id).where(*training, Job.status == SUCCESS).order_by(Job.created.desc()).limit(1)
    result = session.scalar(last)
    stops = last_check(session, storage, project_id)
    running = sum(count for status, count in states.items() if status not in ENDED)
    rows = [
        ("Data", "data", min(roles.get("source", 0), roles.get("target", 0)) > 0, _images(roles),
         "Bring your images: what the microscope saw, and what should be predicted from it."),
        ("Pairs", "pairs", pairs > 1, many(pairs, "pair"),
         "See which source belongs to which target, and which pairs are kept for the test."),
        ("Check", "check", stops is False, CHECKED[stops],
         "Look at the pairs and at what is wrong with them before anything is trained."),
        ("Train", "train", result is not None, _trainings(states.get(SUCCESS, 0), running),
         "Choose how to train; how long it takes is shown before you start."),
        ("Results", None, result is not None, "ready" if result else "none yet",
         "See the predictions, and where not to trust them."),
    ]  # fmt: skip
    undone = [number for number, row in enumerate(rows) if not row[2]]
    return [
        Step(
            name,
            f"/projects/{project_id}/{room}" if room else result and f"/jobs/{result}/results",
            "done" if done else "next" if undone[0] == number else "later",
            text,
            advice,
        )
        for number, (name, room, done, text, advice) in enumerate(rows)
    ]


def _images(roles: dict[str, int]) -> str:
    words = {"source": "source", "target": "target", "new": "new image", "any": "undecided image"}
    return ", ".join(many(roles[role], word) for role, word in words.items() if role in roles) or "no images yet"


def _trainings(done: int, running: int) -> str:
    return many(done, "finished training") + (f", {running} under way" if running else "")
