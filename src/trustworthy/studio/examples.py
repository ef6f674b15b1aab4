"""The data repository: pairs of images that are ready to use, drawn on the spot or real, with their licence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from trustworthy.core.errors import DataUnavailable, UnknownName
from trustworthy.datasets.pairs import ImagePairs, load_pairs
from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Image, Project, new_id
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.probing import lent
from trustworthy.studio.images.writing import write_image
from trustworthy.studio.intake.adding import keep_images, prepare_image
from trustworthy.studio.pairs.pairing import save_pairs
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.control import settings_of

QUICK = settings_of({"epochs": 10, "members": 3, "learning_rate": 2.0, "dropout": 0.1, "patch": 64, "width": 12})
"""A training whose result is there in under three minutes on two processors, and that tells where not to trust it."""
DRAWN = {"fields": 24, "size": 192}
COUNTS = 4000
"""Grey values of a camera for the range of a drawn image, above an offset of 100."""


@dataclass(frozen=True)
class Example:
    """A set of pairs.

    name : of `load_pairs`, and `settings` for it, of drawn sets alone. title, text : what it is, in words.
    source, target : what its images are. pixels : size of a pixel in micrometres, where it is known.
    licence, origin : of the images.
    """

    name: str
    title: str
    text: str
    source: str
    target: str
    licence: str
    origin: str
    settings: dict[str, Any] = field(default_factory=dict)
    pixels: float | None = None

    def load(self) -> ImagePairs:
        """Raises DataUnavailable, with what to do."""
        return load_pairs(self.name, **self.settings)

    def first(self) -> ImagePairs:
        """Its first pair, without drawing the others."""
        one: dict[str, Any] = self.settings | {"fields": 1}
        return load_pairs(self.name, **one) if self.settings else self.load().take([0])

    @property
    def missing(self) -> str:
        """What to do before it can be used; empty where it is at hand."""
        try:
            if not self.settings:
                self.load()
        except DataUnavailable as error:
            return str(error)
        return ""


_DRAWN_BY = {
    "source": "phase contrast",
    "target": "fluorescence",
    "licence": "free of rights: drawn on this computer",
    "origin": "Drawn by trustworthy.datasets.synthetic after the optics of phase contrast (Yin et al., 2012).",
    "pixels": 1.3,
}
EXAMPLES: dict[str, Example] = {
    example.name: example
    for example in (
        Example(
            "cells/msc-sparse", "Drawn stem cells, far apart",
            "24 fields of long, spread cells under phase contrast, and the fluorescence of a marker on their surface, "
            "which follows from the source but for a little that cannot be known.", settings=DRAWN, **_DRAWN_BY,
        ),
        Example(
            "cells/msc-dense", "Drawn stem cells, close together",
            "24 fields in which half of the area is covered with cells, and halos lie on neighbours.",
            settings=DRAWN, **_DRAWN_BY,
        ),
        Example(
            "ecoli", "Bacteria",
            "10 fields of E. coli, 512 x 512 pixels, 16 bits: fluorescence is to be predicted from bright field.",
            "bright field", "fluorescence", "MIT", "Real microscopy.",
        ),
        Example(
            "ebimage", "Nuclei",
            "4 fields of stained cells, 510 x 510 pixels, 8 bits: their nuclei are to be predicted. Few images, to see "
            "what few images do.",
            "stained cells", "stained nuclei", "LGPL",
            "Images of the R package EBImage (Pau et al., Bioinformatics 26, 2010).",
        ),
    )
}  # fmt: skip


def use_example(database: Database, storage: Storage, settings: Settings, name: str) -> Project:
    """A new project with the images of an example, paired and split.

    Raises
    ------
    UnknownName : there is no such example. DataUnavailable : its files are not at hand. DiskFull.
    """
    if name not in EXAMPLES:
        raise UnknownName.of("example", name, EXAMPLES)
    example = EXAMPLES[name]
    pairs = example.load()
    storage.reserve(2 * (pairs.source.nbytes + pairs.target.nbytes), "This example")
    about = f"{example.text}\n\n{example.origin} Licence: {example.licence}."
    project = Project(id=new_id(), name=example.title, description=about)
    try:
        found = _prepared(storage, settings, project.id, example, pairs)
        with database.session() as session:
            session.add(project)
            session.flush()
            keep_images(session, storage, [image for each in found.values() for image in each])
            save_pairs(session, project.id, [(place, a.id, b.id) for place, (a, b) in found.items()])
    except BaseException:
        storage.remove(storage.project(project.id))
        raise
    return project


def _prepared(
    storage: Storage, settings: Settings, project_id: str, example: Example, pairs: ImagePairs
) -> dict[str, tuple[Image, Image]]:
    """By name of the place, source and target, whose files are in their places."""
    found = {}
    with lent(settings) as prober, TemporaryDirectory(dir=storage.root) as folder:
        file = Path(folder) / "image.ome.tif"

        def image(role: str, place: str, plane: np.ndarray) -> Image:
            stored, shown = _stored(plane), getattr(example, role)
            about = Description(
                axes="YX", shape=stored.shape[1:], dtype=str(stored.dtype), channel_names=(shown,),
                pixel_size={} if example.pixels is None else dict.fromkeys("YX", example.pixels),
            )  # fmt: skip
            write_image(file, [stored], about, stored.dtype)
            return prepare_image(storage, project_id, file, f"{shown}/{place}.ome.tif", role, prober)

        for place, source, target in zip(pairs.names, pairs.source, pairs.target, strict=True):
            found[place] = image("source", place, source), image("target", place, target)
    return found


def _stored(plane: np.ndarray) -> np.ndarray:
    """As a camera gives it: drawn images, of numbers from 0 to 1, become counts."""
    return plane if plane.dtype.kind == "u" else np.rint(100 + COUNTS * plane).astype(np.uint16)
