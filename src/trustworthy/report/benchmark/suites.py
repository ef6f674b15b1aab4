"""What a benchmark asks: which data train, calibrate and test, for suites by name and pairs of one's own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import numpy_generator
from trustworthy.datasets.pairs import ImagePairs, paste, patches
from trustworthy.report.benchmark.meaning import CLEAN, RISK
from trustworthy.report.benchmark.profiles import Profile
from trustworthy.report.benchmark.scores import AVERAGES
from trustworthy.report.benchmark.trials import ImageTrial, Rows, RowTrial, Trial, struck

DENSITIES = ("very sparse", "sparse", "dense", "very dense")
IMPURITIES = ("scratch", "bubble", "dust", "speckle", "unspecific")
FEWEST = 4
"""Clean pairs that are enough to train on, to calibrate and to test."""
CALIBRATING = math.ceil(1 / RISK) - 1
"""Images that conformal maps need to be calibrated on at least."""
PATCH, PATCHES = 48, 32
"""Side in pixels of what is pasted, and how many patches it is chosen from."""
TRAIN, CALIBRATE, TEST, SHIFT = 1, 2, 3, 4
"""Seeds of the synthetic fields."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Suite:
    """Trials that belong together. notes : what to know of the data."""

    name: str
    title: str
    trials: Sequence[Trial]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [trial.name for trial in self.trials]
        if len(set(names)) < len(names):
            raise InvalidInput(f"trials must have different names, got {', '.join(names)}; their runs lie under them.")


def cells_suite(profile: Profile) -> Suite:
    """The two tasks of section 5.3 on synthetic cells: foreign pixels in a field, and fields of another density."""
    from trustworthy.datasets.synthetic import cells

    clean = partial(cells, size=profile.side, density="sparse")
    shifted = partial(cells, size=profile.side, kind="lncap")
    foreign = {"impurities": IMPURITIES, "second cell type": ("cells",)}
    net: Any = {"width": profile.width, "depth": profile.depth}
    local = ImageTrial(
        name="local", title="Foreign pixels",
        says="Trained on clean fields; the uncertainty of a pixel should be high where something foreign lies.",
        train=clean(profile.fields, seed=TRAIN), calibration=clean(profile.calibrating, seed=CALIBRATE),
        tests={
            CLEAN: clean(profile.testing, seed=TEST),
            **{name: clean(profile.testing, seed=TEST, impurities=kinds) for name, kinds in foreign.items()},
        },
        shown=tuple(foreign), **net,
    )  # fmt: skip
    tests = {density: shifted(profile.testing, density=density, seed=SHIFT) for density in DENSITIES}
    models = [
        ImageTrial(
            name=f"shift-{letter}", title=f"Another density, model {letter.upper()}",
            says=f"Trained on {density} fields of the second cell type, tested on all densities.",
            train=shifted(profile.fields, density=density, seed=TRAIN), tests=tests, **net,
        )
        for letter, density in (("a", DENSITIES[0]), ("b", DENSITIES[-1]))
    ]  # fmt: skip
    note = (
        "The cells are synthetic: they stand in for the microscopy of MSC and LNCaP cells, which was never published. "
        "Every test field with something foreign has one kind of it; 25% of them had it in the dissertation."
    )
    return Suite(name="cells", title="synthetic cells", trials=[local, *models], notes=[note])


def real_suite(profile: Profile) -> Suite:
    """Real microscopy, with round patches of another set pasted into the test fields as what is foreign."""
    from trustworthy.datasets.pairs import load_pairs, spatial_split

    ecoli, nuclei = load_pairs("ecoli"), load_pairs("ebimage")
    neurons = load_pairs("phase-contrast").channels(source=[6], target=[0])  # the plane in focus, and DAPI
    train, test = spatial_split(neurons)
    trials = [
        pairs_trial(ecoli, profile, name="ecoli", foreign=nuclei),
        pairs_trial(nuclei, profile, name="ebimage", foreign=ecoli),
        _trial(train, None, test, profile, name="phase-contrast", foreign=nuclei),
    ]
    note = (
        "What is foreign are patches of another set of real microscopy, brought to the brightness of the field. The "
        "field of neurons is one, split in space: its test is of the slide that was trained on."
    )
    return Suite(name="pairs", title="real microscopy", trials=trials, notes=[note])


def folder_suite(folder: str | os.PathLike[str], profile: Profile) -> Suite:
    """Pairs of images of one's own: `source`, `target` and perhaps `mask` in a folder."""
    from trustworthy.datasets.pairs import read_pairs

    pairs = read_pairs(folder)
    name = Path(folder).resolve().name
    return Suite(name=name, title=name, trials=[pairs_trial(pairs, profile, name="pairs")], notes=[pairs.provenance])


def pairs_trial(pairs: ImagePairs, profile: Profile, *, name: str, foreign: ImagePairs | None = None) -> ImageTrial:
    """A quarter of the clean fields tests, a quarter calibrates where that is enough, the others train.

    All that have something foreign in them test too.

    foreign : patches of these are pasted into the clean test fields.
    """
    foreign_in = struck(pairs)
    order = numpy_generator(0, "split").permutation(np.flatnonzero(~foreign_in))
    if len(order) < FEWEST:
        raise InvalidInput(
            f"{pairs.name} must have at least {FEWEST} pairs without anything foreign, to train on, calibrate and "
            f"test, got {len(order)}; add pairs, or cut large images into several."
        )
    held = len(order) // FEWEST
    test, fitting, train = np.split(order, (held, 2 * held if held >= CALIBRATING else held))
    return _trial(
        pairs.take(train), pairs.take(fitting) if len(fitting) else None, pairs.take(test), profile, name=name,
        foreign=foreign, spoilt=pairs.take(foreign_in) if foreign_in.any() else None,
    )  # fmt: skip


def _trial(
    train: ImagePairs, calibration: ImagePairs | None, test: ImagePairs, profile: Profile, *, name: str,
    foreign: ImagePairs | None, spoilt: ImagePairs | None = None,
) -> ImageTrial:  # fmt: skip
    tests = {CLEAN: test}
    if spoilt is not None:
        tests["foreign"] = spoilt
    if foreign is not None:
        side = min(PATCH, *test.source.shape[2:], *foreign.source.shape[2:])
        found = patches(foreign, side, PATCHES)
        full = np.argsort(-found.source.std(axis=(1, 2, 3)), kind="stable")[: PATCHES // 4]  # others may be empty
        tests["pasted patches"] = paste(test, found.take(full), count=2)
    few = f"; too few for conformal maps, which need {CALIBRATING} to calibrate on"
    held = few if calibration is None else f", {len(calibration)} calibrate"
    side = min(profile.side, *train.source.shape[2:])
    return ImageTrial(
        name=name, title=name, says=f"{len(train)} pairs train, {len(test)} test{held}.",
        train=patches(train, side, profile.tiles), calibration=calibration, tests=tests,
        shown=[test for test in tests if test != CLEAN] or [CLEAN], width=profile.width, depth=profile.depth,
    )  # fmt: skip


def classification_suite(
    profile: Profile, *, data: str = "digits", held_out: int = 2, average: str = "probabilities"
) -> Suite:
    """Classes under corruptions, and rows of none of them: classes that are kept from training, and noise.

    data : name of a set of images. held_out : how many classes, the last ones, are kept from training; 0 for none.
    """
    from trustworthy import datasets
    from trustworthy.datasets.corruptions import CORRUPTIONS, corrupt

    checks.choice("average", average, AVERAGES)
    found = datasets.load(data, limit=max(profile.rows, profile.row_tests))
    if found.task != "classification" or len(found.shape) != 3:
        raise InvalidInput(
            f"data must be a set of images with classes, such as digits, fashion-mnist or cifar10, got {data!r}."
        )
    classes = found.n_classes - checks.integer("held_out", held_out, at_least=0, at_most=found.n_classes - 2)
    x, test_x = (np.ascontiguousarray(part, dtype=np.float32) for part in (found.x_train, found.x_test))
    known = np.flatnonzero(found.y_test < classes)[: profile.row_tests]
    tests = {CLEAN: (clean := Rows(x=test_x[known], y=found.y_test[known]))}
    for name in profile.corruptions or CORRUPTIONS:
        for severity in profile.severities:
            tests[f"{name} {severity}"] = Rows(x=corrupt(clean.x, name, severity, generator=severity), y=clean.y)
    if held_out:
        tests["new classes"] = Rows(x=test_x[found.y_test >= classes][: profile.row_tests])
    tests["noise"] = Rows(x=numpy_generator(0, "noise").random(clean.x.shape, dtype=np.float32))
    trained = np.flatnonzero(found.y_train < classes)[: profile.rows]
    kept = f", the last {held_out} kept from training" if held_out else ""
    trial = RowTrial(
        name=data, title="Classes",
        says=f"{len(trained):,} rows of {found.n_classes} classes{kept}; tests are clean, corrupted, and new.",
        train=Rows(x=x[trained], y=found.y_train[trained]), tests=tests, classes=classes, width=profile.row_width,
        average=average,
    )  # fmt: skip
    notes = [found.provenance] if found.provenance else []
    return Suite(name="classification", title=f"classification of {data}", trials=[trial], notes=notes)


SUITES: dict[str, Callable[..., Suite]] = {
    "cells": cells_suite, "pairs": real_suite, "classification": classification_suite,
}  # fmt: skip
"""By the names of `--suite`; anything else is a folder of pairs."""
