"""Pairs of images by name: microscopy in the folder TRUSTWORTHY_DATA, and drawn cells."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core.errors import DataUnavailable, InvalidInput, UnknownName
from trustworthy.datasets.image_pairs import ImagePairs
from trustworthy.datasets.pairs.files import pages, read_image, read_pairs
from trustworthy.datasets.reading import reading
from trustworthy.datasets.synthetic import COVERAGE, IMPURITIES, TYPES, cells

FIELDS = 64
"""Drawn fields where none are asked for."""
THINGS = tuple(name for name in IMPURITIES if name != "cells")
CELLS: dict[str, dict[str, Any]] = {
    "cells/msc-clean": {"density": "sparse"},
    "cells/msc-impurities": {"density": "sparse", "impurities": THINGS, "share": 0.25, "seed": 1},
    "cells/msc-lncap": {"density": "sparse", "impurities": ("cells",), "seed": 2},
} | {
    f"cells/{kind}-{density.replace(' ', '-')}": {"kind": kind, "density": density}
    for kind in TYPES
    for density in COVERAGE
}
"""Settings of the drawn sets: stand-ins for MSC-Clean, MSC-Impurities and MSC-LNCaP, with seeds of their own so that no
two have the same cells, and densities as in LNCaP-Density."""


def load_pairs(name: str, *, folder: str | os.PathLike[str] | None = None, **settings: Any) -> ImagePairs:
    """Load pairs of images by name.

    Parameters
    ----------
    name : "ecoli": 10 fields of bacteria, 512 x 512, 16 bits, bright field to fluorescence. "ebimage": 4 fields of
        cells, 510 x 510, 8 bits, from a stain of the cells to that of their nuclei. "phase-contrast": one field of
        neurons, 1024 x 1024, 16 bits, 13 planes of phase contrast through the focus to DAPI, MAP2 and NfH: split it by
        `spatial_split`, and claim nothing of other fields. Or a drawn set: "cells/msc-clean", "cells/msc-impurities"
        (a quarter of the fields struck), "cells/msc-lncap" (foreign cells in every field), "cells/KIND-DENSITY".
    folder : where `microscopy` lies; None for TRUSTWORTHY_DATA.
    settings : of drawn sets: those of `synthetic.cells`, with 64 `fields` by default.

    Raises
    ------
    UnknownName : no such set. DataUnavailable : the files are not at hand.
    """
    if name in CELLS:
        asked: dict[str, Any] = {"fields": FIELDS} | CELLS[name] | settings
        return cells(**asked)
    if name not in READERS:
        raise UnknownName.of("pairs", name, [*CELLS, *READERS])
    if settings:
        raise InvalidInput(f"{name} takes no settings, as it is not drawn; got {', '.join(settings)}.")
    named = folder if folder is not None else os.environ.get("TRUSTWORTHY_DATA", "")
    root = Path(named).expanduser() / "microscopy" / name.replace("-", "_")
    if not named or not root.is_dir():
        raise DataUnavailable(
            f"{name} is not at hand: put its files into microscopy/{root.name} in a folder of yours, and set "
            f"TRUSTWORTHY_DATA to that folder{f' (it is {named})' if named else ''}."
        )
    return READERS[name](root)


def _ecoli(root: Path) -> ImagePairs:
    found = read_pairs(root, source="brightfield", target="fluorescence")
    return replace(found, name="ecoli", provenance="Bright field, fluorescence (MIT).")


def _ebimage(root: Path) -> ImagePairs:
    def frames(name: str) -> np.ndarray:
        with reading(root / name):
            return np.stack(pages(root / name))[:, None]

    stained, nuclei = frames("cells.tif"), frames("nuclei.tif")
    names, about = tuple(map(str, range(len(stained)))), "Stained cells, nuclei (LGPL)."
    return ImagePairs(name="ebimage", source=stained, target=nuclei, names=names, provenance=about)


def _phase_contrast(root: Path) -> ImagePairs:
    planes = sorted(root.glob("phase_z*.png"))
    source = np.concatenate([read_image(plane) for plane in planes])
    target = np.concatenate([read_image(root / f"{stain}.png") for stain in ("dapi", "map2", "nfh")])
    about = "Planes of phase contrast from z00 on; DAPI, MAP2, NfH (Apache-2.0). One field."
    return ImagePairs(
        name="phase-contrast", source=source[None], target=target[None], names=("field",), provenance=about
    )


READERS: Mapping[str, Callable[[Path], ImagePairs]] = {
    "ecoli": _ecoli,
    "ebimage": _ebimage,
    "phase-contrast": _phase_contrast,
}
