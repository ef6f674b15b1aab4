"""The cache: one file per set, verified when read, never half-written."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from trustworthy.core.errors import ChecksumMismatch, DataError
from trustworthy.datasets import cache
from trustworthy.datasets.entry import Content


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def content() -> Content:
    images = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4)
    return Content(x_train=images, y_train=np.array([0, 1]), x_test=images[:1], y_test=np.array([1]))


def record(content: Content, **changes: object) -> cache.Record:
    fields = {"source": "npm: toy", "provenance": "a note", "sha256": cache.fingerprint(content), "canonical": True}
    return cache.Record(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def test_what_is_stored_comes_back(content: Content) -> None:
    kept = record(content)
    cache.store("toy", replace(content, class_names=("a", "b")), kept)
    back, found = cache.read("toy")
    assert found == kept
    assert back.class_names == ("a", "b")
    for name in cache.ARRAYS:
        np.testing.assert_array_equal(getattr(back, name), getattr(content, name))
        assert getattr(back, name).dtype == getattr(content, name).dtype


def test_fingerprint_is_of_the_content_alone(content: Content) -> None:
    swapped = Content(
        x_train=content.x_train, y_train=content.y_train.astype(">i8"), x_test=content.x_test, y_test=content.y_test
    )
    strided = np.asfortranarray(content.x_train)
    other = Content(x_train=strided, y_train=content.y_train, x_test=content.x_test, y_test=content.y_test)
    assert cache.fingerprint(swapped) == cache.fingerprint(other) == cache.fingerprint(content)


def test_fingerprint_sees_every_value_shape_and_type(content: Content) -> None:
    x = np.asarray(content.x_train)
    changed = x.copy()
    changed[1, 0, 2, 3] += 1
    found = {
        cache.fingerprint(Content(x_train=rows, y_train=content.y_train, x_test=content.x_test, y_test=content.y_test))
        for rows in (x, changed, x.reshape(2, 1, 4, 3), x.astype(np.int8))
    }
    assert len(found) == 4


def test_truncated_file_names_the_remedy(content: Content) -> None:
    file = cache.store("toy", content, record(content))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"toy\.npz is damaged or truncated .*data get --refresh toy"):
        cache.read("toy")


def test_flipped_byte_is_noticed(content: Content) -> None:
    file = cache.store("toy", content, record(content))
    damaged = file.read_bytes().replace(bytes(range(24)), bytes(range(23)) + b"\xff", 1)
    file.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged or truncated"):
        cache.read("toy")


def test_wrong_checksum_names_the_remedy(content: Content) -> None:
    cache.store("toy", content, record(content, sha256="0" * 64))
    with pytest.raises(ChecksumMismatch, match=r"expected SHA-256 0000.*data get --refresh toy"):
        cache.read("toy")


def test_full_disk_leaves_the_old_file_and_nothing_else(
    content: Content, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = cache.store("toy", content, record(content))
    before = file.read_bytes()

    def full(stream, **arrays: np.ndarray) -> None:
        stream.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with pytest.raises(DataError, match=r"the disk is full: .*toy\.npz \(0 MB\) was not written.*TRUSTWORTHY_CACHE"):
        cache.store("toy", content, record(content))
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == ["toy.npz"]


def test_unwritable_folder_names_the_remedy(content: Content, folder: Path) -> None:
    (folder / "datasets").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot write .*TRUSTWORTHY_CACHE"):
        cache.store("toy", content, record(content))


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/trustworthy"),
        ("linux", {}, "/home/someone/.cache/trustworthy"),
        ("darwin", {}, "/home/someone/Library/Caches/trustworthy"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/trustworthy/cache"),
        ("linux", {"TRUSTWORTHY_CACHE": "/named", "XDG_CACHE_HOME": "/xdg"}, "/named"),
    ],
)
def test_folder_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("TRUSTWORTHY_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache.directory() == Path(expected)


class TestSparse:
    ROWS = np.array([[0, 3, 0, 5], [0, 0, 0, 0], [7, 0, 1, 0]], dtype=np.int32)

    def content(self, x: object) -> Content:
        rows = sparse.csr_array(x) if isinstance(x, np.ndarray) else x
        assert isinstance(rows, sparse.csr_array)
        return Content(x_train=rows, y_train=np.array([0, 1, 1]), x_test=rows[:1], y_test=np.array([0]))

    def test_what_is_stored_comes_back(self) -> None:
        stored = self.content(self.ROWS)
        cache.store("toy", stored, record(stored))
        back, _ = cache.read("toy")
        for found, rows in ((back.x_train, self.ROWS), (back.x_test, self.ROWS[:1])):
            assert isinstance(found, sparse.csr_array)
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found.toarray(), rows)

    def test_fingerprint_is_of_the_values_alone(self) -> None:
        indices, indptr = np.array([3, 1, 2, 0]), np.array([0, 2, 2, 4])  # columns out of order, 64-bit positions
        turned = sparse.csr_array((np.array([5, 3, 1, 7], dtype=np.int32), indices, indptr), shape=(3, 4))
        before = turned.indices.copy()
        assert cache.fingerprint(self.content(turned)) == cache.fingerprint(self.content(self.ROWS))
        np.testing.assert_array_equal(turned.indices, before)

    def test_fingerprint_sees_every_value_place_shape_and_type(self) -> None:
        value, place = self.ROWS.copy(), self.ROWS.copy()
        value[2, 0] = 8
        place[2] = [7, 1, 0, 0]
        wide = np.pad(self.ROWS, ((0, 0), (0, 1)))
        variants = (self.ROWS, value, place, wide, self.ROWS.astype(np.int64))
        found = {cache.fingerprint(self.content(rows)) for rows in variants}
        assert len(found | {cache.fingerprint(replace(self.content(self.ROWS), x_test=self.ROWS[:1]))}) == 6

    @pytest.mark.parametrize(
        ("part", "value"), [("indices", [1, 9, 0, 2]), ("indptr", [0, 4, 2, 4]), ("shape", [3]), ("data", [1, 2])]
    )
    def test_parts_that_do_not_fit_are_damage(self, part: str, value: list[int]) -> None:
        stored = self.content(self.ROWS)
        file = cache.store("toy", stored, record(stored))
        with np.load(file) as parts:
            changed = dict(parts) | {f"x_train.{part}": np.array(value)}
        np.savez(file, allow_pickle=False, **changed)
        with pytest.raises(DataError, match=r"damaged or truncated .*data get --refresh toy"):
            cache.read("toy")


def test_fingerprint_of_dense_arrays_is_pinned(content: Content) -> None:
    digest = hashlib.sha256(b"x_train |u1 (2, 1, 3, 4)\n" + bytes(range(24)))
    digest.update(b"y_train <i8 (2,)\n" + bytes(8) + b"\x01" + bytes(7))
    digest.update(b"x_test |u1 (1, 1, 3, 4)\n" + bytes(range(12)) + b"y_test <i8 (1,)\n\x01" + bytes(7))
    assert cache.fingerprint(content) == digest.hexdigest()
