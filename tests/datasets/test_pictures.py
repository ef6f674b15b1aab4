"""Folders and archives of pictures."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import from_folder, pictures

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


def paint(file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (4, 3)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name, colour in COLOURS.items():
        for row in range(3):
            paint(root / "train" / name / f"{row}.png", colour)
        paint(root / "test" / name / "0.png", colour)
    (root / "train" / "red" / "notes.txt").write_text("not a picture")
    paint(root / "train" / ".hidden" / "0.png", (1, 2, 3))
    return root


def labels_match_colours(images: np.ndarray, labels: np.ndarray) -> bool:
    expected = np.array([COLOURS["blue"], COLOURS["red"]])[labels]
    return np.array_equal(images[:, :, 0, 0] * 255, expected) and np.array_equal(images.min((2, 3)), images.max((2, 3)))


def test_folders_of_classes(split: Path) -> None:
    found = from_folder(split)
    assert (found.name, found.source, found.class_names) == ("set", str(split), ("blue", "red"))
    assert found.x_train.shape == (6, 3, 3, 4)
    assert found.x_train.dtype == np.float32
    assert sorted(found.y_train) == [0, 0, 0, 1, 1, 1]
    assert list(found.y_train) != sorted(found.y_train), "rows come shuffled, so that a slice holds every class"
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        assert labels_match_colours(np.asarray(x), y)


@pytest.mark.parametrize("kind", ["zip", "gztar", "xztar", "tar"])
@pytest.mark.parametrize("top", [True, False])
def test_archives_read_as_the_folder(split: Path, tmp_path: Path, kind: str, top: bool) -> None:
    root, base = (split.parent, "set") if top else (split, ".")
    archive = shutil.make_archive(str(tmp_path / "packed" / "set"), kind, root, base)
    packed, folder = from_folder(archive), from_folder(split)
    np.testing.assert_array_equal(packed.x_train, folder.x_train)
    np.testing.assert_array_equal(packed.y_test, folder.y_test)
    assert packed.class_names == folder.class_names


def test_archive_whose_names_start_with_a_dot(split: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "dotted.tar", "w") as archive:
        archive.add(split, arcname="./set")
    np.testing.assert_array_equal(from_folder(tmp_path / "dotted.tar").x_train, from_folder(split).x_train)


def test_validation_serves_as_test(split: Path) -> None:
    (split / "test").rename(split / "val")
    assert len(from_folder(split).y_test) == 2


def test_classes_without_a_split_are_split(tmp_path: Path) -> None:
    for name, colour in COLOURS.items():
        for row in range(8):
            paint(tmp_path / name / f"{row}.png", colour)
    found = from_folder(tmp_path)
    assert np.bincount(found.y_train).tolist() == [6, 6]
    assert np.bincount(found.y_test).tolist() == [2, 2]
    assert labels_match_colours(np.asarray(found.x_train), found.y_train)
    limited = from_folder(tmp_path, limit=2)
    assert np.bincount(limited.y_train).tolist() == np.bincount(limited.y_test).tolist() == [1, 1]


def test_limit_is_even_over_the_classes(split: Path) -> None:
    found = from_folder(split, limit=4)
    assert np.bincount(found.y_train).tolist() == [2, 2]
    assert labels_match_colours(np.asarray(found.x_train), found.y_train)


def test_size_cuts_out_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:6] = 200
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / part / "a" / "0.png")
    found = from_folder(tmp_path, size=4)
    np.testing.assert_array_equal(found.x_test, np.full((1, 3, 4, 4), np.float32(200) / np.float32(255)))


def test_one_channel(split: Path) -> None:
    assert from_folder(split, mode="L").x_train.shape == (6, 1, 3, 4)


def test_pictures_of_two_sizes_need_a_size(split: Path) -> None:
    paint(split / "train" / "red" / "3.png", COLOURS["red"], (5, 5))
    with pytest.raises(DataError, match=r"differ in size, .* pass size="):
        from_folder(split)
    assert from_folder(split, size=3).x_train.shape == (7, 3, 3, 3)


def test_splits_of_two_sizes_need_a_size(split: Path) -> None:
    for name in COLOURS:
        paint(split / "test" / name / "0.png", COLOURS[name], (5, 5))
    with pytest.raises(DataError, match=r"training pictures are \(3, 3, 4\), test pictures \(3, 5, 5\); pass size="):
        from_folder(split)


def test_truncated_picture_is_named(split: Path, tmp_path: Path) -> None:
    file = split / "train" / "red" / "1.png"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match=rf"cannot read the picture {file}"):
        from_folder(split)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", split)
    with pytest.raises(DataError, match="cannot read the picture of the archive"):
        from_folder(archive)


def test_too_many_pictures_ask_for_a_limit(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 100)
    with pytest.raises(InvalidInput, match="do not fit into memory; pass limit="):
        from_folder(split)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file or folder"):
        from_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="holds no classes of pictures"):
        from_folder(tmp_path)
    paint(tmp_path / "alone.png", (0, 0, 0))
    with pytest.raises(DataError, match="holds no classes of pictures"):
        from_folder(tmp_path)
    (tmp_path / "broken.tar.xz").write_bytes(b"\xfd7zXZ\x00 nothing more")
    with pytest.raises(DataError, match="cannot read the archive"):
        from_folder(tmp_path / "broken.tar.xz")


def test_truncated_archive(split: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "xztar", split))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DataError, match="cannot read the archive"):
        from_folder(archive)


def test_empty_test_split(split: Path) -> None:
    shutil.rmtree(split / "test" / "red")
    (split / "test" / "blue" / "0.png").rename(split / "test" / "0.png")
    with pytest.raises(DataError, match="one of the splits holds no pictures"):
        from_folder(split)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"limit": 0}, InvalidInput, "limit must be >= 1, got 0"),
        ({"size": 0}, InvalidInput, "size must be >= 1, got 0"),
    ],
)
def test_arguments_are_checked(split: Path, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_folder(split, **arguments)
