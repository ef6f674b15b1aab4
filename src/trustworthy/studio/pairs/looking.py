"""Looking at the pixels of pairs, once: what the data check, its page and the baselines are made of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Num
from pydantic import ValidationError
from scipy import ndimage
from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.core.errors import DataError
from trustworthy.core.files import atomic_write
from trustworthy.studio.db.tables import Image, Pair
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.probing import Statistics
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.intake.adding import file_of, statistics_of
from trustworthy.studio.pairs.baselines import Moments, Values, baselines, moments
from trustworthy.studio.pairs.pairing import unpaired
from trustworthy.studio.pairs.registration import Shift, middle, shift
from trustworthy.studio.pairs.splitting import NONE
from trustworthy.studio.storage import Storage
from trustworthy.studio.values import Value

SIDE = 2048
"""Side in pixels of the middle of a plane that is looked at."""
PLANES = 3
"""Of a stack that are looked at, from its first to its last."""
PRINT = 16
"""Side in pixels of what images are compared by."""


class PairCheck(Value):
    """What was measured on a pair.

    source, target : its images as they were described then. shift : of the middle plane, None where sizes differ.
    fingerprint : of the source, of length 1, so that the product of two is their correlation; empty for tiny images.
    trouble : why the pixels could not be read.
    """

    source: Description
    target: Description
    shift: Shift | None = None
    moments: Moments | None = None
    fingerprint: tuple[float, ...] = ()
    trouble: str = ""

    @property
    def fits(self) -> bool:
        """Whether both have one height, one width, and as many planes."""
        return size_of(self.source) == size_of(self.target)


def size_of(image: Description) -> tuple[int, int, int]:
    """Planes, height, width: what a pair has to have in common."""
    return image.planes, image.height, image.width


@dataclass(frozen=True)
class Seen:
    """All that the remarks are made of: pairs that are used, what was found on those looked at, and images alone."""

    pairs: tuple[Pair, ...]
    checks: dict[str, PairCheck]
    statistics: dict[str, Statistics]
    alone: tuple[Image, ...]
    left_out: int = 0
    baselines: dict[str, Values] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Pairs that nobody has looked at yet."""
        return len(self.pairs) - len(self.checks)


def look(session: Session, storage: Storage, project_id: str, seconds: float = float("inf")) -> Seen:
    """Look at the pairs of a project, one after the other, until the time is over; what was seen once is kept."""
    until = time.monotonic() + seconds
    every = session.scalars(select(Pair).where(Pair.project_id == project_id).order_by(Pair.name)).all()
    pairs = tuple(pair for pair in every if pair.part != NONE)
    checks: dict[str, PairCheck] = {}
    for pair in pairs:
        known = _known(storage, pair)
        if known is None and time.monotonic() < until:
            known = check_pair(storage, pair)
        if known is not None:
            checks[pair.id] = known
    looked = [pair for pair in pairs if pair.id in checks]
    statistics = {image.id: statistics_of(storage, image) for pair in looked for image in (pair.source, pair.target)}
    measured = {
        part: [found for pair in looked if pair.part == part and (found := checks[pair.id].moments) is not None]
        for part in ("train", "test")
    }
    return Seen(
        pairs, checks, statistics, tuple(unpaired(session, project_id)), len(every) - len(pairs),
        baselines(measured["train"], measured["test"]),
    )  # fmt: skip


def check_pair(storage: Storage, pair: Pair) -> PairCheck:
    """What a pair is like; measured once, and again where a person has corrected the axes."""
    known = _known(storage, pair)
    if known is None:
        known = _measured(storage, pair)
        with atomic_write(_file(storage, pair)) as stream:
            stream.write(known.model_dump_json())
    return known


def _file(storage: Storage, pair: Pair) -> Path:
    return storage.previews(pair.project_id) / f"{pair.source_id}-{pair.target_id}.json"


def _known(storage: Storage, pair: Pair) -> PairCheck | None:
    try:
        found = PairCheck.model_validate_json(_file(storage, pair).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):  # nobody has looked yet, or an older version of this module has
        return None
    now = Description(**pair.source.description), Description(**pair.target.description)
    return found if now == (found.source, found.target) else None


def _measured(storage: Storage, pair: Pair) -> PairCheck:
    about = Description(**pair.source.description), Description(**pair.target.description)
    try:
        source = _middles(storage, pair.source, about[0])
        fingerprint = _fingerprint(source[len(source) // 2].mean(0))
        if size_of(about[0]) != size_of(about[1]):
            return PairCheck(source=about[0], target=about[1], fingerprint=fingerprint)
        target = _middles(storage, pair.target, about[1])
    except DataError as error:
        return PairCheck(source=about[0], target=about[1], trouble=str(error))
    flat = [np.concatenate([plane.reshape(len(plane), -1) for plane in planes], 1) for planes in (source, target)]
    middle = len(source) // 2
    return PairCheck(
        source=about[0],
        target=about[1],
        shift=shift(source[middle].mean(0), target[middle].mean(0)),
        moments=moments(*flat),
        fingerprint=fingerprint,
    )


def _middles(storage: Storage, image: Image, about: Description) -> list[Num[np.ndarray, "channels height width"]]:
    """The middle of some planes."""
    window = middle((about.height, about.width), SIDE)
    chosen = sorted({round(at) for at in np.linspace(0, about.planes - 1, min(PLANES, about.planes))})
    with open_image(file_of(storage, image), about) as opened:
        return [np.array(opened.plane(index)[:, *window]) for index in chosen]


def _fingerprint(image: Num[np.ndarray, "height width"]) -> tuple[float, ...]:
    """Means of 16 x 16 blocks, less what is brighter because of the lamp; empty where there are not as many pixels."""
    if min(image.shape) < PRINT:
        return ()
    means = image.astype(np.float64)
    for axis in (0, 1):
        starts = np.linspace(0, image.shape[axis], PRINT + 1).astype(int)
        sizes = np.expand_dims(np.diff(starts), 1 - axis)
        means = np.add.reduceat(means, starts[:-1], axis) / sizes
    means -= ndimage.gaussian_filter(means, PRINT / 8)
    means -= means.mean()
    length = np.linalg.norm(means)
    return tuple(np.round(means / length, 4).ravel()) if length > 0 else ()
