"""Who trains and who is held out: by file, the same on every machine, and little moved by a pair that comes later."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from pydantic import Field, ValidationError, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.studio.db.tables import Pair, Project
from trustworthy.studio.values import Value, faults

PARTS: Final = ("train", "validation", "test")
NONE: Final = "none"
"""The part of a pair that a person leaves out."""
Part = Literal["train", "validation", "test", "none"]


class SplitSettings(Value):
    """Shares of the pairs, which add up to one; the seed that draws them; parts chosen by hand, by name of the pair."""

    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**31)
    by_hand: dict[str, Part] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adds_up(self) -> SplitSettings:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the three shares must add up to 100 %, got {100 * total:g} %")
        return self


def split_settings(**given: object) -> SplitSettings:
    """Settings from what a form says. Raises InvalidInput, in a person's words."""
    try:
        return SplitSettings.model_validate(given)
    except ValidationError as error:
        raise InvalidInput(f"{faults(error)[0]}.") from error


def assign(names: Iterable[str], settings: SplitSettings) -> dict[str, str]:
    """The part of each pair.

    The order in which pairs are held out is that of a digest of the seed and the name. Of three or more at least one
    tests and one validates, of two one tests; one alone trains. Parts chosen by hand stand, and the others are drawn
    among themselves.
    """
    wanted = list(names)
    fixed = {name: settings.by_hand[name] for name in wanted if name in settings.by_hand}
    order = sorted((name for name in wanted if name not in fixed), key=lambda name: _place(settings.seed, name))
    taken, used = set(fixed.values()), len(wanted) - list(fixed.values()).count(NONE)
    room = len(order) - ("train" not in taken)
    test = min(max(round(settings.test * len(order)), used >= 2 and "test" not in taken), max(room, 0))
    validation = max(round(settings.validation * len(order)), used >= 3 and "validation" not in taken)
    validation = min(validation, max(room - test, 0))
    parts = ["test"] * test + ["validation"] * validation + ["train"] * (len(order) - test - validation)
    return dict(zip(order, parts, strict=True)) | fixed


def split_up(session: Session, project_id: str, settings: SplitSettings | None = None) -> None:
    """Give every pair of a project its part. settings : None for those that the project has."""
    project = session.get_one(Project, project_id)
    pairs = session.scalars(select(Pair).where(Pair.project_id == project_id)).all()
    asked = settings or SplitSettings.model_validate(project.split)
    known = {pair.name for pair in pairs}
    asked = asked.model_copy(update={"by_hand": {n: part for n, part in asked.by_hand.items() if n in known}})
    parts = assign([pair.name for pair in pairs], asked)
    for pair in pairs:
        pair.part = parts[pair.name]
    project.split = asked.model_dump(mode="json")


def choose_parts(session: Session, project_id: str, parts: dict[str, str]) -> None:
    """Put pairs, by id, where a person wants them: "train", "validation", "test", or "none" to leave one out."""
    project = session.get_one(Project, project_id)
    settings = SplitSettings.model_validate(project.split)
    by_hand: dict[str, Part] = dict(settings.by_hand)
    for pair in session.scalars(select(Pair).where(Pair.project_id == project_id, Pair.id.in_(parts))):
        part = parts[pair.id]
        if part not in (*PARTS, NONE):
            raise UnknownName.of("part", part, (*PARTS, NONE))
        pair.part = by_hand[pair.name] = part
    project.split = settings.model_copy(update={"by_hand": by_hand}).model_dump(mode="json")


def check_enough(parts: Iterable[str]) -> None:
    """Raise InvalidInput, with the remedy, unless a training is possible: one pair to train on and one held out."""
    counts = Counter(part for part in parts if part != NONE)
    if not counts:
        raise InvalidInput("There is no pair to train on; upload sources and targets, and pair them.")
    if counts.total() == 1:
        raise InvalidInput(
            "One pair alone cannot be trained on: nothing would be left to tell whether the model is any good; add at "
            "least one more pair, better ten, or cut the image into parts and upload them as several pairs."
        )
    if not counts["train"] or counts["train"] == counts.total():
        missing = "train on" if not counts["train"] else "test with"
        raise InvalidInput(
            f"All pairs are held out or none is: there is no pair to {missing}; move one on the page of pairs."
        )


def _place(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
