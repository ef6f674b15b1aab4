"""`load`, `get`, `where`: the order of the sources, the cache between them, and every way it can go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trustworthy import datasets
from trustworthy.core.errors import ChecksumMismatch, DataError, DataUnavailable, InvalidInput, UnknownName
from trustworthy.datasets import cache, loading
from trustworthy.datasets.catalog import CATALOG
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request, Source

IMAGES = np.arange(40, dtype=np.uint8).reshape(10, 1, 2, 2)
LABELS = np.array([0, 1] * 5)
TOY = Content(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:4] + 100, y_test=LABELS[:4])


class Shop:
    """A source that counts how often it is asked, and can be out of stock."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def read(self) -> Content:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return TOY


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUSTWORTHY_DATA", raising=False)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def second() -> Shop:
    return Shop()


def local_npz(path: Path, request: Request) -> Content:
    with np.load(path) as file:
        x = file["x"]
    return Content(
        x_train=x, y_train=np.zeros(len(x), dtype=np.int64), x_test=x, y_test=np.zeros(len(x), dtype=np.int64)
    )


@pytest.fixture
def entry(shop: Shop, second: Shop, monkeypatch: pytest.MonkeyPatch) -> Entry:
    toy = Entry(
        name="toy",
        summary="four dots",
        stored=True,
        class_names=("even", "odd"),
        local=LocalSource(files=("toy.npz", "toy2.npz"), read=local_npz, provenance="mine"),
        sources=(
            Source(kind="npm", origin="toy 1.0", read=shop.read, sha256=cache.fingerprint(TOY), canonical=True),
            Source(kind="openml", origin="toy", read=second.read, provenance="another copy"),
        ),
    )
    monkeypatch.setitem(CATALOG, "toy", toy)
    return toy


@pytest.fixture
def change(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def apply(**fields: object) -> None:
        monkeypatch.setitem(CATALOG, "toy", replace(CATALOG["toy"], **fields))  # pyright: ignore[reportArgumentType]

    return apply


def local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str = "toy.npz") -> Path:
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir(exist_ok=True)
    np.savez(tmp_path / "mine" / file, x=IMAGES[:2])
    return tmp_path / "mine" / file


@pytest.mark.usefixtures("entry")
class TestOrder:
    def test_the_first_source_is_asked_once_and_then_the_cache(self, shop: Shop, second: Shop) -> None:
        first, again = datasets.load("toy"), datasets.load("toy")
        assert (shop.asked, second.asked) == (1, 0)
        for found in (first, again):
            assert (found.source, found.canonical, found.sha256) == ("npm: toy 1.0", True, cache.fingerprint(TOY))
            assert (found.class_names, found.n_classes, found.shape) == (("even", "odd"), 2, (1, 2, 2))
            np.testing.assert_array_equal(found.x_test, (IMAGES[:4] + 100).astype(np.float32) / np.float32(255))
            np.testing.assert_array_equal(found.y_train, LABELS)

    def test_the_next_source_steps_in(self, shop: Shop) -> None:
        shop.error = DataUnavailable("`npm` is not on this machine.")
        found = datasets.load("toy")
        assert (found.source, found.canonical, found.provenance) == ("openml: toy", False, "another copy")

    def test_local_files_come_before_the_network(
        self, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = local_folder(tmp_path, monkeypatch, "toy2.npz")
        found = datasets.load("toy")
        assert (found.source, found.provenance, found.canonical) == (f"local: {file}", "mine", False)
        assert (len(found.y_test), shop.asked) == (2, 0)
        file.unlink()
        assert len(datasets.load("toy").y_test) == 2  # now from the cache

    def test_the_cache_comes_before_local_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        datasets.get("toy")
        local_folder(tmp_path, monkeypatch)
        assert datasets.load("toy").source == "npm: toy 1.0"
        assert datasets.get("toy", refresh=True) == {"toy": f"local: {tmp_path / 'mine' / 'toy.npz'}"}
        assert datasets.load("toy").source.startswith("local")

    def test_local_files_with_the_published_content_are_canonical(
        self, change: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = local_folder(tmp_path, monkeypatch)
        local = CATALOG["toy"].local
        assert local is not None
        digest = cache.fingerprint(local_npz(file, Request()))
        change(local=replace(local, sha256=digest))
        assert datasets.load("toy").canonical
        assert datasets.load("toy", source="cache").canonical

    def test_nothing_available_lists_what_was_tried_and_the_remedy(
        self, shop: Shop, second: Shop, change: Callable[..., None]
    ) -> None:
        shop.error, second.error = DataUnavailable("no npm here"), DataUnavailable("no network")
        with pytest.raises(
            DataUnavailable, match=r"toy is not at hand. Tried:\n.*no npm here\n.*no network\n.*data get toy"
        ):
            datasets.load("toy")
        change(sources=(), how="put toy.npz there")
        with pytest.raises(
            DataUnavailable, match=r"put toy.npz there \(there = a folder of yours; set TRUSTWORTHY_DATA"
        ):
            datasets.load("toy")


@pytest.mark.usefixtures("entry")
class TestOneSource:
    def test_by_kind(self, shop: Shop, second: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert datasets.load("toy", source="openml").source == "openml: toy"
        assert (shop.asked, second.asked) == (0, 1)
        with pytest.raises(DataUnavailable, match=r"toy is not in the cache .*data get toy"):
            datasets.load("toy", source="cache")
        with pytest.raises(DataUnavailable, match="toy is not among local files"):
            datasets.load("toy", source="local")
        file = local_folder(tmp_path, monkeypatch)
        assert datasets.load("toy", source="local").source == f"local: {file}"

    def test_by_path_without_touching_the_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = local_folder(tmp_path, monkeypatch)
        assert datasets.load("toy", source=file).source == f"local: {file}"
        assert datasets.load("toy", source=str(file)).source == f"local: {file}"
        assert not cache.path("toy").exists()

    def test_unknown_kind_and_absent_path(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match="unknown source of toy 'opemnl'; did you mean 'openml'"):
            datasets.load("toy", source="opemnl")
        with pytest.raises(DataUnavailable, match="there is no file or folder"):
            datasets.load("toy", source=tmp_path / "absent")

    def test_sets_without_files_refuse_a_path(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataUnavailable, match="wine cannot be read from files; use one of the sources cache, local, bundled"
        ):
            datasets.load("wine", source=tmp_path)

    def test_unreadable_files_are_a_data_error(
        self, change: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = local_folder(tmp_path, monkeypatch)

        def refuse(path: Path, request: Request) -> Content:
            raise PermissionError(13, "Permission denied")

        change(local=LocalSource(files=("toy.npz",), read=refuse))
        with pytest.raises(DataError, match=f"cannot read {file}: .*Permission denied"):
            datasets.load("toy")


@pytest.mark.usefixtures("entry")
class TestTrust:
    def test_wrong_content_is_an_error_and_is_not_cached(self, change: Callable[..., None]) -> None:
        source = CATALOG["toy"].sources[0]
        change(sources=(replace(source, sha256="0" * 64),))
        with pytest.raises(
            ChecksumMismatch, match=r"toy from npm \(toy 1.0\): expected SHA-256 0000.*Nothing was cached"
        ):
            datasets.load("toy")
        assert not cache.path("toy").exists()

    def test_cache_that_the_catalogue_does_not_know_is_refused(self, change: Callable[..., None]) -> None:
        datasets.get("toy")
        change(sources=(replace(CATALOG["toy"].sources[0], sha256="0" * 64),))
        with pytest.raises(ChecksumMismatch, match=r"unknown to the catalogue for toy. Run .*get --refresh toy"):
            datasets.load("toy")

    def test_truncated_cache_is_mended_by_refresh(self, shop: Shop) -> None:
        datasets.get("toy")
        file = cache.path("toy")
        file.write_bytes(file.read_bytes()[:100])
        for call in (datasets.load, datasets.get):
            with pytest.raises(DataError, match=r"damaged or truncated .*get --refresh toy"):
                call("toy")
        assert datasets.get("toy", refresh=True) == {"toy": "npm: toy 1.0"}
        assert (len(datasets.load("toy").y_train), shop.asked) == (10, 2)

    def test_failed_refresh_keeps_the_old_copy(self, shop: Shop, second: Shop) -> None:
        datasets.get("toy")
        shop.error = second.error = DataUnavailable("no network")
        with pytest.raises(DataUnavailable):
            datasets.get("toy", refresh=True)
        assert len(datasets.load("toy").y_train) == 10

    def test_filled_cache_needs_no_write_access(self, shop: Shop) -> None:
        datasets.get("toy")
        lock = cache.path("toy").with_name("toy.npz.lock")
        lock.unlink()
        lock.mkdir()  # nobody can open it as a file
        assert len(datasets.load("toy").y_train) == 10

    def test_unwritable_cache(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file where a folder should be")
        with pytest.raises(DataError, match="TRUSTWORTHY_CACHE"):
            datasets.load("toy")

    def test_calls_at_once_fetch_once(self, shop: Shop, change: Callable[..., None]) -> None:
        started = threading.Barrier(4)

        def run() -> None:
            started.wait()
            datasets.get("toy")

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shop.asked == 1
        assert len(datasets.load("toy").y_train) == 10

    def test_package_files_are_discarded_only_when_every_name_succeeded(
        self, shop: Shop, second: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = [package.file for package in loading.PACKAGES]
        for file in kept:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"package")
        shop.error = second.error = DataUnavailable("no network")
        with pytest.raises(DataUnavailable):
            datasets.get("digits", "toy")
        assert all(file.exists() for file in kept)
        shop.error = None
        datasets.get("digits", "toy")
        assert not any(file.exists() for file in kept)


class TestNames:
    def test_unknown_name_suggests_the_nearest(self) -> None:
        with pytest.raises(UnknownName, match="unknown data set 'mnits'; did you mean 'mnist'"):
            datasets.load("mnits")

    def test_get_checks_every_name_before_fetching_any(self, shop: Shop, entry: Entry) -> None:
        with pytest.raises(UnknownName):
            datasets.get("toy", "no-such-set")
        assert shop.asked == 0

    def test_variants(self) -> None:
        with pytest.raises(InvalidInput, match="digits has no variants, got 'digits/3'"):
            datasets.load("digits/3")
        with pytest.raises(UnknownName, match="unknown variant of cifar10-c 'fogg/3'; did you mean 'fog/3'"):
            datasets.load("cifar10-c/fogg/3")

    @pytest.mark.parametrize("limit", [0, -1, True])
    def test_limit_is_checked(self, limit: int) -> None:
        with pytest.raises(InvalidInput, match="limit must be"):
            datasets.load("digits", limit=limit)

    def test_every_entry_can_say_what_it_is_and_how_to_have_it(self) -> None:
        for name, entry in CATALOG.items():
            assert entry.name == name
            assert datasets.summary(name)
            assert "\n" not in datasets.how(name)
            if not entry.sources and not entry.parent:
                assert entry.how, f"{name}: sets that nothing can fetch must say what to download"

    def test_every_set_that_needs_files_says_so_in_one_line(self) -> None:
        needy = [name for name in datasets.names() if datasets.state(name) == "needs local files"]
        assert {"imagenet", "stl10", "rcv1", "glue", "cifar10"} <= set(needy)
        for name in needy:
            with pytest.raises(DataUnavailable, match=f"{name} is not at hand\n  To have it: "):
                datasets.load(name, limit=1)


class TestWhere:
    def test_states(self, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert (datasets.state("digits"), datasets.where("digits")) == ("bundled", None)
        assert (datasets.state("toy"), datasets.where("toy")) == ("npm or openml", None)
        file = local_folder(tmp_path, monkeypatch)
        assert (datasets.state("toy"), datasets.where("toy")) == ("local", file)
        assert str(tmp_path / "mine") in datasets.how("usps")
        datasets.get("toy")
        assert (datasets.state("toy"), datasets.where("toy")) == ("cached", cache.path("toy"))


class TestDerived:
    def test_mnist17_is_cut_out_of_mnist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
        digits = np.arange(10)
        content = Content(x_train=images, y_train=digits, x_test=images[::-1], y_test=digits[::-1])
        monkeypatch.setitem(
            CATALOG,
            "mnist",
            Entry(
                name="mnist", summary="", stored=True, sources=(Source(kind="npm", origin="toy", read=lambda: content),)
            ),
        )
        found = datasets.load("mnist17")
        np.testing.assert_array_equal(np.asarray(found.x_train)[:, 0, 0, 0] * np.float32(255), [1, 7])
        np.testing.assert_array_equal(found.y_train, [0, 1])
        np.testing.assert_array_equal(found.y_test, [1, 0])
        assert found.class_names == ("1", "7")
        assert found.provenance == "Derived from mnist."
        assert datasets.where("mnist17") == cache.path("mnist")


class TestBundled:
    @pytest.mark.parametrize(
        ("name", "shape", "rows", "classes"),
        [
            ("digits", (1, 8, 8), (1348, 449), 10),
            ("breast-cancer", (30,), (427, 142), 2),
            ("wine", (13,), (134, 44), 3),
        ],
    )
    def test_shapes_and_determinism(
        self, name: str, shape: tuple[int, ...], rows: tuple[int, int], classes: int
    ) -> None:
        found, again = datasets.load(name), datasets.load(name)
        assert found.shape == shape
        assert (len(found.y_train), len(found.y_test)) == rows
        assert found.n_classes == classes == len(found.class_names)
        assert set(found.y_test) == set(range(classes))
        np.testing.assert_array_equal(found.x_train, again.x_train)
        assert found.x_train.dtype == (np.float32 if name == "digits" else np.float64)
        assert not cache.path(name).exists()

    def test_rows_are_those_of_scikit_learn(self) -> None:
        from sklearn.datasets import load_digits

        x, y = map(np.asarray, load_digits(return_X_y=True))
        found = datasets.load("digits")
        together = np.concatenate([found.x_train, found.x_test]).reshape(-1, 64) * 16
        mine = np.column_stack([together, np.concatenate([found.y_train, found.y_test])])
        theirs = np.column_stack([x, y])
        np.testing.assert_array_equal(mine[np.lexsort(mine.T)], theirs[np.lexsort(theirs.T)])

    def test_limit_is_even_over_the_classes(self) -> None:
        found = datasets.load("digits", limit=30)
        assert np.bincount(found.y_train).tolist() == np.bincount(found.y_test).tolist() == [3] * 10
        assert datasets.load("wine", limit=10**6).x_train.shape[0] == 134


def test_corrupt_loads_on_first_use() -> None:
    from trustworthy.datasets.corruptions import corrupt

    assert datasets.corrupt is corrupt
    with pytest.raises(AttributeError, match="has no attribute 'corrode'"):
        datasets.corrode  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
