"""The cache: one file per set, verified when read, never half-written."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

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
    kept = record(content, class_names=("a", "b"))
    cache.store("toy", content, kept)
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
