"""Which image belongs to which, by the names of their files; a person sees it and can correct it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Pair
from trustworthy.studio.intake.adding import WORDS
from trustworthy.studio.pairs.splitting import split_up

_ROLES = frozenset(f"{WORDS['source']} {WORDS['target']}".split())
ROLE_WORDS = frozenset(word for word in _ROLES if len(word) > 1) | {
    "channel", "contrast", "field", "image", "images", "img", "in", "nuclei", "out", "ph", "src", "tgt",
}  # fmt: skip
"""Words that say what an image is, and not of which place."""
Key = tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """pairs : (name of the pair, source, target). alone : images without a partner, or with more than one."""

    pairs: tuple[tuple[str, Image, Image], ...]
    alone: tuple[Image, ...]


def propose(images: Iterable[Image]) -> Proposal:
    """Pair images of the roles "source" and "target" by their names; those of other roles are left out.

    Names are compared four times, from strict to loose, and those that match once are paired: folders and name as they
    are, but for folders that only name a role; without words for a role; and without words that all sources, or all
    targets, share. So `phase/a1.tif` belongs to `dapi/a1.tif`, `a1_BF.tif` to `a1_GFP.tif`, and `day1/phase/a1.tif` not
    to `day2/dapi/a1.tif`. What has the same name twice is left to a person.
    """
    asked = [image for image in images if image.role in ("source", "target")]
    left = {role: [image for image in asked if image.role == role] for role in ("source", "target")}
    shared = frozenset().union(*(_shared(found) for found in left.values()))
    keys: tuple[Callable[[Image], Key], ...] = (
        _exact,
        lambda image: _words(image, ROLE_WORDS),
        lambda image: _words(image, ROLE_WORDS | shared),
    )
    found: list[tuple[Image, Image]] = []
    for key in keys:
        sources, targets = (_once(left[role], key) for role in ("source", "target"))
        matched = [(sources[name], targets[name]) for name in sources if name in targets]
        found += matched
        taken = {image.id for pair in matched for image in pair}
        left = {role: [image for image in rest if image.id not in taken] for role, rest in left.items()}
    names = _distinct([place_of(source) for source, _ in found])
    pairs = sorted((name, *pair) for name, pair in zip(names, found, strict=True))
    return Proposal(tuple(pairs), tuple(sorted((*left["source"], *left["target"]), key=lambda image: image.name)))


def unpaired(session: Session, project_id: str) -> Sequence[Image]:
    """Images of a project that are in no pair, but for those that a model is to be applied to, by name."""
    paired = select(Pair.source_id).union(select(Pair.target_id))
    free = select(Image).where(Image.project_id == project_id, Image.role != "new", Image.id.not_in(paired))
    return session.scalars(free.order_by(Image.name)).all()


def pair_up(session: Session, project_id: str) -> Proposal:
    """Pair what is not paired yet, save it, and split. What a person has paired stands."""
    proposal = propose(unpaired(session, project_id))
    save_pairs(session, project_id, [(name, source.id, target.id) for name, source, target in proposal.pairs])
    return proposal


def save_pairs(session: Session, project_id: str, pairs: Sequence[tuple[str, str, str]]) -> list[Pair]:
    """Add pairs (name, id of the source, id of the target) to those of a project, and split anew.

    The images get the roles that they have in their pair. A name that there is already gets a number.

    Raises
    ------
    InvalidInput : an image is not of this project, is in a pair, or would be in two.
    """
    free = {image.id: image for image in unpaired(session, project_id)}
    wanted = [image for _, *images in pairs for image in images]
    if len(set(wanted)) < len(wanted):
        raise InvalidInput(
            "An image can be in one pair only, and not be its own target; choose another source or target."
        )
    if not free.keys() >= set(wanted):
        raise InvalidInput(
            "An image is in a pair already, or no longer there; undo that pair first, or load the page anew."
        )
    taken = set(session.scalars(select(Pair.name).where(Pair.project_id == project_id)))
    names = _distinct([name for name, *_ in pairs], taken)
    made = []
    for name, (_, source, target) in zip(names, pairs, strict=True):
        free[source].role, free[target].role = "source", "target"
        made.append(Pair(project_id=project_id, name=name, source_id=source, target_id=target))
    session.add_all(made)
    session.flush()
    split_up(session, project_id)
    return made


def undo_pairs(session: Session, project_id: str, pairs: Collection[str]) -> None:
    """Take pairs, by id, apart; the images stay."""
    for pair in session.scalars(select(Pair).where(Pair.project_id == project_id, Pair.id.in_(pairs))):
        session.delete(pair)
    session.flush()
    split_up(session, project_id)


def _stem(image: Image) -> tuple[tuple[str, ...], str]:
    """Folders and name up to the ending; of `a.ome.tif`, too."""
    path = PurePosixPath(unicodedata.normalize("NFC", image.name))
    return path.parts[:-1], path.stem.removesuffix(".ome")


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _places(folders: Iterable[str]) -> tuple[str, ...]:
    """Folders that do not only name a role, such as `phase`, `in` or `A`."""
    return tuple(f for f in folders if f.casefold().strip() not in _ROLES and not set(_split(f)) <= ROLE_WORDS)


def _exact(image: Image) -> Key:
    folders, stem = _stem(image)
    return (*_places(folders), stem)


def _words(image: Image, dropped: Collection[str]) -> Key:
    folders, stem = _stem(image)
    return tuple(word for part in (*_places(folders), stem) for word in _split(part) if word not in dropped)


def _shared(images: Sequence[Image]) -> frozenset[str]:
    """Words in all names, of two images or more."""
    every = [frozenset(_words(image, ())) for image in images]
    return frozenset.intersection(*every) if len(every) > 1 else frozenset()


def _once(images: Iterable[Image], key: Callable[[Image], Key]) -> dict[Key, Image]:
    found: defaultdict[Key, list[Image]] = defaultdict(list)
    for image in images:
        found[key(image)].append(image)
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def place_of(image: Image) -> str:
    """What a pair is called: as its source, without folders and words that say that it is one."""
    folders, stem = _stem(image)
    kept = [word for word in re.split(r"[\s_-]+", stem) if not set(_split(word)) <= ROLE_WORDS]
    return "/".join((*_places(folders), "_".join(kept) or stem))


def _distinct(names: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """Each name once: "a", "a (2)", "a (3)"."""
    given, used = [], set(taken)
    for name in names:
        number, free = 1, name or "pair"
        while free in used:
            number += 1
            free = f"{name or 'pair'} ({number})"
        used.add(free)
        given.append(free)
    return given
