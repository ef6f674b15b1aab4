"""The data check: what is wrong with the pairs of a project, in words, before anything is trained on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.core.files import atomic_write
from trustworthy.studio.db.tables import Image, Pair
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.probing import Channel, Statistics
from trustworthy.studio.pairs.looking import PairCheck, Seen, look, size_of
from trustworthy.studio.pairs.registration import SURE
from trustworthy.studio.pairs.splitting import check_enough
from trustworthy.studio.storage import Storage
from trustworthy.studio.words import many

OUTCOME = "check.json"
ENOUGH = 10
"""Pairs below which a warning is given: with fewer, a test says little."""
SATURATED = 0.01
"""Share of pixels at the highest value above which an image is probably cut off."""
ALIKE = 0.98
"""Correlation of fingerprints from which on two images show the same place. Different fields of bacteria, cells and
drawn cells reach .62, neighbouring planes of one stack .99, an image with noise or blur .99 of itself."""
SAME = 0.999
"""Pearson correlation of source and target from which on there is nothing to learn."""
Level = Literal["stop", "warning", "fine"]


@dataclass(frozen=True)
class Remark:
    """What was found.

    level : "stop", a training would fail or its test would be a lie; "warning"; "fine".
    remedy : what to do. room : of the project, where that is done, "data" or "pairs".
    names : of what it is about, as they are shown. about : the same, without more words; empty where there are none.
    """

    level: Level
    title: str
    text: str
    remedy: str = ""
    room: str = ""
    names: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    def concerns(self, pair: Pair) -> bool:
        """Whether this pair, or an image of it, is among what is wrong."""
        names = {pair.name, pair.source.name, pair.target.name}
        return self.level != "fine" and not names.isdisjoint(self.about or self.names)


@dataclass(frozen=True)
class Check:
    """remarks : the worst first. seen : what they are made of; some pairs may wait to be looked at."""

    remarks: tuple[Remark, ...]
    seen: Seen

    @property
    def stops(self) -> bool:
        return any(remark.level == "stop" for remark in self.remarks)


def check_project(session: Session, storage: Storage, project_id: str, seconds: float = float("inf")) -> Check:
    """Look at the pairs of a project for so long, and say what is wrong with those that were looked at."""
    seen = look(session, storage, project_id, seconds)
    remarks = [remark for rule in RULES for remark in rule(seen)]
    check = Check(tuple(sorted(remarks, key=lambda remark: ("stop", "warning", "fine").index(remark.level))), seen)
    if not seen.waiting:
        with atomic_write(storage.project(project_id) / OUTCOME) as stream:
            json.dump({"of": _state(session, project_id), "stops": check.stops}, stream)
    return check


def last_check(session: Session, storage: Storage, project_id: str) -> bool | None:
    """Whether anything stops a training, by a check of all pairs as they are now; None where there was none."""
    file = storage.project(project_id) / OUTCOME
    told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return told["stops"] if told.get("of") == _state(session, project_id) else None


def _state(session: Session, project_id: str) -> str:
    """Of all that a check looks at: the pairs and their parts, and the images with their axes."""
    pairs = select(Pair.id, Pair.part).where(Pair.project_id == project_id).order_by(Pair.id)
    axes = Image.description["axes"].as_string()
    images = select(Image.id, Image.role, axes).where(Image.project_id == project_id).order_by(Image.id)
    return digest(*([tuple(row) for row in session.execute(rows)] for rows in (pairs, images)))


def number_of_pairs(seen: Seen) -> Iterator[Remark]:
    try:
        check_enough(pair.part for pair in seen.pairs)
    except InvalidInput as error:
        yield Remark("stop", "Not enough pairs", str(error), room="pairs" if seen.pairs else "data")
        return
    counts = Counter(pair.part for pair in seen.pairs)
    told = f"{counts['train']} to train, {counts['validation']} to validate, {counts['test']} to test."
    if len(seen.pairs) < ENOUGH:
        yield Remark(
            "warning", f"Only {len(seen.pairs)} pairs", f"{told} With so few, the figures of the test are uncertain.",
            "Add pairs if you can: ten are a start, fifty are comfortable.", "data",
        )  # fmt: skip
    else:
        yield Remark("fine", f"{len(seen.pairs)} pairs", told)
    if not counts["validation"]:
        yield Remark(
            "warning", "Nothing to validate with",
            "The best epoch cannot be chosen, and uncertainty is not calibrated.",
            "Keep at least one pair for validation.", "pairs",
        )  # fmt: skip


def without_partner(seen: Seen) -> Iterator[Remark]:
    if seen.alone:
        yield Remark(
            "warning", many(len(seen.alone), "image") + " without a partner", "They are not used.",
            "Pair them by hand, or give them the role “new” if a model is to be applied to them.", "pairs",
            tuple(image.name for image in seen.alone),
        )  # fmt: skip


def readable(seen: Seen) -> Iterator[Remark]:
    troubles = {pair.name: found.trouble for pair, found in _looked(seen) if found.trouble}
    if troubles:
        yield Remark(
            "stop", "Images that cannot be read", " ".join(sorted(set(troubles.values()))),
            "Upload these files again, or leave the pairs out.", "pairs", tuple(troubles),
        )  # fmt: skip


def sizes(seen: Seen) -> Iterator[Remark]:
    wrong = [(pair.name, found) for pair, found in _looked(seen) if not found.fits]
    if wrong:
        first = wrong[0][1]
        source, target = (_size(image) for image in (first.source, first.target))
        stack = min(first.source.planes, first.target.planes) == 1 < max(first.source.planes, first.target.planes)
        yield Remark(
            "stop", "Source and target differ in size", f"For example {source} and {target} in {wrong[0][0]}.",
            "If the planes of the stack all belong to one target, name their axis C instead of Z on the data page."
            if stack else "Export both in the same size, or undo these pairs if the wrong images were paired.",
            "data" if stack else "pairs", tuple(name for name, _ in wrong),
        )  # fmt: skip


def kinds(seen: Seen) -> Iterator[Remark]:
    """Channels have to agree over all pairs, types ought to; between source and target both may differ."""
    usual = {}
    for role in ("source", "target"):
        images = {pair.name: getattr(found, role) for pair, found in _looked(seen)}
        for what, of in _KINDS.items():
            counts = Counter(of(image) for image in images.values())
            if not counts:
                continue
            usual[role, what] = counts.most_common(1)[0][0]
            if len(counts) > 1:
                told = ", ".join(f"{value} in {many(count, 'image')}" for value, count in counts.most_common())
                yield Remark(
                    "stop" if what == "channels" else "warning", f"The {role}s differ in their {what}", f"{told}.",
                    f"All {role}s should come from one instrument, with one setting; leave the others out.", "pairs",
                    tuple(name for name, image in images.items() if of(image) != usual[role, what]),
                )  # fmt: skip
    if usual and usual["source", "type"] != usual["target", "type"]:
        yield Remark(
            "fine", "Source and target differ in type",
            f"{usual['source', 'type']} and {usual['target', 'type']}. Both are kept as they are, and predictions have "
            "the numbers of the target.",
        )  # fmt: skip
    guessed = [pair.name for pair, found in _looked(seen) if found.source.guessed or found.target.guessed]
    if guessed:
        yield Remark(
            "warning", "Axes that no file names", "Here the order of the axes is the usual one for the kind of file.",
            "Look at them on the data page, and correct the axes if they are others.", "data", tuple(guessed),
        )  # fmt: skip


def constant(seen: Seen) -> Iterator[Remark]:
    flat = _blank(seen)
    if flat:
        yield Remark(
            "stop", "Images with nothing in them",
            "A channel has one value everywhere: an empty field, or a shutter that was closed.",
            "Leave these pairs out.", "pairs", tuple(flat),
        )  # fmt: skip


def saturated(seen: Seen) -> Iterator[Remark]:
    cut = [name for name, found in _statistics(seen) if any(map(_is_saturated, found.channels))]
    if cut:
        yield Remark(
            "warning", "Images that are probably overexposed",
            f"More than {SATURATED:.0%} of the pixels have the highest value: what was brighter was cut off.",
            "Take such images again with less light, or leave them out.", "pairs", tuple(cut),
        )  # fmt: skip


def duplicates(seen: Seen) -> Iterator[Remark]:
    """A test on what was trained on says nothing."""
    train = [pair for pair in seen.pairs if pair.part != "test"]
    test = [pair for pair in seen.pairs if pair.part == "test"]
    known = {image.sha256: pair.name for pair in train for image in (pair.source, pair.target)}
    twice = {
        pair.name: known[image.sha256] for pair in test for image in (pair.source, pair.target) if image.sha256 in known
    }
    if twice:
        yield Remark(
            "stop", "The same image in training and test", "A test on what was trained on says nothing.",
            "Leave one of the two out, or put both into the same part.", "pairs", _told(twice), _both(twice),
        )  # fmt: skip
    alike = {name: other for name, other in _alike(seen, train, test) if name not in twice}
    if alike:
        yield Remark(
            "warning", "Almost the same image in training and test",
            "They seem to show the same place, such as neighbouring planes or moments. A test on them is too kind.",
            "Put images of one place into the same part.", "pairs", _told(alike), _both(alike),
        )  # fmt: skip


def registration(seen: Seen) -> Iterator[Remark]:
    blank = set(_blank(seen))
    shifts = {
        pair.name: found.shift
        for pair, found in _looked(seen)
        if found.shift is not None and blank.isdisjoint((pair.source.name, pair.target.name))
    }
    moved = {name: found for name, found in shifts.items() if found.found}
    unclear = [name for name, found in shifts.items() if found.confidence < SURE]
    if moved:
        down, right = (median(found[axis] for found in moved.values()) for axis in (0, 1))
        yield Remark(
            "warning", "Source and target are moved against each other",
            f"In {len(moved)} of {many(len(shifts), 'pair')}; the target lies {_moved(down, right)} (the median). "
            "A network that learns from this paints blurred or moved.",
            "Register the images, such as with Fiji (Plugins, Registration), and upload them again.", "data",
            tuple(f"{name}: {_moved(found.dy, found.dx)}" for name, found in moved.items()), tuple(moved),
        )  # fmt: skip
    clear = len(shifts) - len(moved) - len(unclear)
    if clear:
        yield Remark("fine", "Source and target lie on each other", f"In {many(clear, 'pair')}, to a pixel or two.")
    if unclear:
        yield Remark(
            "fine", "Whether they lie on each other cannot be told yet",
            f"In {many(len(unclear), 'pair')} the edges of source and target are too different to compare. After the "
            "first epochs of the training the predictions are compared with the targets, which shows it better.",
            names=tuple(unclear),
        )  # fmt: skip


def untrained(seen: Seen) -> Iterator[Remark]:
    reached = seen.baselines.get("identity", {})
    pearson, psnr = reached.get("pearson"), reached.get("psnr")
    if pearson is None:
        return
    if pearson > SAME:
        yield Remark(
            "warning", "Source and target are the same",
            f"Their Pearson correlation is {pearson:.4f}: there is nothing to learn.",
            "See whether the right images were paired.", "pairs",
        )  # fmt: skip
        return
    dark = ", which means that what is bright in the one is dark in the other" if pearson < -0.2 else ""
    alone = seen.baselines["mean"].get("psnr")
    yield Remark(
        "fine", "What is reached without a network",
        "The source itself, taken for a prediction of the test images, has a Pearson correlation of "
        f"{pearson:.2f}{dark}, and a PSNR of {psnr or 0:.1f} dB; the mean of the training targets has "
        f"{alone or 0:.1f} dB. A model has to be clearly better than both.",
    )  # fmt: skip


RULES: tuple[Callable[[Seen], Iterator[Remark]], ...] = (
    number_of_pairs, readable, sizes, constant, duplicates, kinds, registration, saturated, without_partner, untrained,
)  # fmt: skip
"""In the order of their remarks, among those of one level."""
_KINDS: dict[str, Callable[[Description], str | int]] = {
    "channels": lambda image: image.channels,
    "type": lambda image: image.dtype,
}


def _looked(seen: Seen) -> Iterator[tuple[Pair, PairCheck]]:
    return ((pair, seen.checks[pair.id]) for pair in seen.pairs if pair.id in seen.checks)


def _statistics(seen: Seen) -> Iterator[tuple[str, Statistics]]:
    images = (image for pair, _ in _looked(seen) for image in (pair.source, pair.target))
    return ((image.name, seen.statistics[image.id]) for image in images)


def _blank(seen: Seen) -> list[str]:
    return [name for name, found in _statistics(seen) if found.constant]


def _is_saturated(channel: Channel) -> bool:
    """A mask of two values has many pixels at the highest one, too: its variance is the largest that there can be."""
    largest = (channel.max - channel.mean) * (channel.mean - channel.min)
    return channel.highest > SATURATED and channel.std**2 < 0.99 * largest


def _alike(seen: Seen, train: Sequence[Pair], test: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """Names of pairs for the test, each with that of the other pair which it is most like, where it is too much so."""
    prints = {pair.id: pair_print for pair, found in _looked(seen) if (pair_print := found.fingerprint)}
    known, asked = ([pair for pair in pairs if pair.id in prints] for pairs in (train, test))
    if known and asked:
        likeness = np.array([prints[pair.id] for pair in asked]) @ np.array([prints[pair.id] for pair in known]).T
        for pair, row in zip(asked, likeness, strict=True):
            if row.max() >= ALIKE:
                yield pair.name, known[int(row.argmax())].name


def _told(twice: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} and {other}" for name, other in twice.items())


def _both(twice: dict[str, str]) -> tuple[str, ...]:
    return (*twice, *twice.values())


def _size(image: Description) -> str:
    planes, height, width = size_of(image)
    return f"{width} x {height} px" + (f" in {planes} planes" if planes > 1 else "")


def _moved(down: float, right: float) -> str:
    """In words: "3 px below and 2 px left"."""
    parts = [
        f"{abs(by):.0f} px {positive if by > 0 else negative}"
        for by, positive, negative in ((down, "below", "above"), (right, "right", "left"))
        if round(by)
    ]
    return " and ".join(parts) or "0 px away"
