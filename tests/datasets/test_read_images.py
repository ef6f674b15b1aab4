"""`read` of pictures: folders of classes, listings, Hugging Face, and what is refused."""

from __future__ import annotations

import importlib
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.datasets import read
from trustworthy.datasets.draw import stratified_rows

CIFAR = next(
    (file for top in Path(__file__).parents if (file := top / "shared" / "data" / "cifar10-jpeg.tar.xz").exists()), None
)
RANDOM = np.random.default_rng(0)


def hugging() -> Any:
    """The library `datasets`, not this folder of the same name that pytest puts on the path."""
    pytest.importorskip("datasets.arrow_dataset")
    return importlib.import_module("datasets")


def picture(path: Path, *, shape: tuple[int, ...] = (8, 8, 3), mode: str | None = None) -> np.ndarray:
    """Save a random picture and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, shape).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(pixels)
    (image if mode is None or mode == "I;16" else image.convert(mode)).save(path)
    return pixels


def classes(folder: Path, per_class: int = 3, suffix: str = ".png") -> np.ndarray:
    names = [folder / kind / f"{n}{suffix}" for kind in ("cat", "dog") for n in range(per_class)]
    return np.stack([picture(name) for name in names]).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_folders_of_classes(tmp_path: Path, suffix: str) -> None:
    pixels = classes(tmp_path / "pets", suffix=suffix)
    found = read(tmp_path / "pets")
    assert (found.x_test.dtype, found.class_names, found.name) == (np.float32, ("cat", "dog"), "pets")
    assert_array_equal(found.x_test, (pixels / np.float32(255)).astype(np.float32))
    assert_array_equal(found.y_test, [0, 0, 0, 1, 1, 1])
    some = read(tmp_path / "pets", rows=2, train=tmp_path / "pets")
    assert_array_equal(some.x_test, found.x_test[some.rows])
    assert_array_equal(some.rows, stratified_rows(np.array([0, 0, 0, 1, 1, 1]), 2, 0))
    assert_array_equal(some.x_train, found.x_test)


def test_a_folder_around_the_folders_of_classes(tmp_path: Path) -> None:
    classes(tmp_path / "outer" / "inner")
    assert read(tmp_path / "outer").class_names == ("cat", "dog")


def test_grey_and_deep_pictures_have_one_channel(tmp_path: Path) -> None:
    grey = picture(tmp_path / "grey" / "a" / "1.png", shape=(4, 6))
    deep = picture(tmp_path / "deep" / "a" / "1.png", shape=(4, 6), mode="I;16")
    for name, pixels, top in (("grey", grey, 255), ("deep", deep, 65_535)):
        with pytest.warns(TrustworthyWarning, match="all 1 labels"):
            found = read(tmp_path / name)
        assert found.shape == (1, 4, 6)
        np.testing.assert_allclose(found.x_test[0, 0], pixels / top, rtol=1e-6)


def test_a_listing_says_the_labels(tmp_path: Path) -> None:
    pixels = [picture(tmp_path / "images" / f"{n}.png") for n in range(4)]
    picture(tmp_path / "spare.png")
    (tmp_path / "labels.csv").write_text(
        "id,file,species,site\n9,images/2.png,emu,x\n8,0.png,cat,y\n7,./images/1.png,emu,y\n"
    )
    found = read(tmp_path, label="species", group="site")
    assert (found.class_names, found.y_test.tolist()) == (("cat", "emu"), [1, 0, 1])
    assert found.groups is not None
    assert found.groups.tolist() == ["x", "y", "y"]
    expected = np.stack([pixels[n] for n in (2, 0, 1)]).transpose(0, 3, 1, 2)
    assert_array_equal(found.x_test, (expected / np.float32(255)).astype(np.float32))
    assert "2 pictures that labels does not name were ignored" in found.provenance
    (tmp_path / "labels.csv").write_text("file,kind\n0.png,3\n1.png,5\n")
    assert read(tmp_path).class_values == (3, 5)  # the only column beside the names


def test_what_was_ignored_is_told(tmp_path: Path) -> None:
    classes(tmp_path)
    for name in ("cat/notes.txt", "README.md", "more.md", ".DS_Store"):
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "stray.png")
    told = read(tmp_path).provenance
    assert "Other files were ignored: 2 .md, 1 .txt." in told
    assert "1 pictures in no folder of a class" in told
    assert "Folders without pictures were ignored: 'empty'" in told


def test_of_two_splits_the_test_pictures_are_read(tmp_path: Path) -> None:
    classes(tmp_path / "train", 5)
    pixels = classes(tmp_path / "test", 2)
    found = read(tmp_path)
    assert (found.x_test.shape, len(found.x_train)) == (pixels.shape, 0)
    told = re.search(r"those of (.*) are read with --train", found.provenance)
    assert told is not None
    assert len(read(tmp_path, train=told[1]).x_train) == 10


@pytest.mark.parametrize("saved", [True, False])
def test_pictures_of_hugging_face(tmp_path: Path, saved: bool) -> None:
    library = hugging()
    library.disable_progress_bars()
    pixels = classes(tmp_path / "pets")
    files = [str(file) for file in sorted((tmp_path / "pets").rglob("*.png"))]
    features = library.Features({"image": library.Image(), "pet": library.ClassLabel(names=["dog", "cat"])})
    data: Any = library.Dataset.from_dict({"image": files, "pet": [1, 1, 1, 0, 0, 0]}, features)
    if saved:
        data.save_to_disk(str(tmp_path / "saved"))
    found = read(tmp_path / "saved" if saved else data, rows=4)
    assert (found.class_names, found.available) == (("dog", "cat"), 6)
    assert_array_equal(found.x_test, (pixels / np.float32(255)).astype(np.float32)[found.rows])


@pytest.mark.skipif(CIFAR is None, reason="needs the archive of CIFAR-10 as JPEG files")
def test_cifar10_as_folders_of_jpegs(tmp_path: Path) -> None:
    assert CIFAR is not None
    with tarfile.open(CIFAR) as archive:
        for member in archive:  # the test pictures come first
            if re.fullmatch(r"test/(airplane|automobile)/00[0-4]\d\.jpg", member.name):
                archive.extract(member, tmp_path, filter="data")
            elif member.name.startswith("test/bird"):
                break
    found = read(tmp_path / "test", rows=20)
    assert (found.shape, found.class_names, found.available) == ((3, 32, 32), ("airplane", "automobile"), 100)
    assert np.bincount(found.y_test.astype(int)).tolist() == [10, 10]
    first = sorted((tmp_path / "test").rglob("*.jpg"))[int(found.rows[0])]  # pyright: ignore[reportOptionalSubscript]
    with Image.open(first) as image:
        assert_array_equal(found.x_test[0], np.asarray(image).transpose(2, 0, 1) / np.float32(255))


def two_sizes(folder: Path) -> None:
    classes(folder)
    picture(folder / "cat" / "wide.png", shape=(8, 12, 3))


def two_modes(folder: Path) -> None:
    classes(folder)
    picture(folder / "dog" / "grey.png", shape=(8, 8))


@pytest.mark.parametrize("make", [two_sizes, two_modes])
def test_the_size_that_a_refusal_names_works(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    with pytest.raises(InvalidInput) as refused:
        read(tmp_path)
    size = re.search(r"--size (\d+)", str(refused.value))
    assert size is not None
    found = read(tmp_path, size=int(size[1]))
    assert found.x_test.shape == (7, 3, 8, 8)
    assert ("resized to 8 x 8" in found.provenance) == (make is two_sizes)
    assert ("Grey and colour pictures were joined" in found.provenance) == (make is two_modes)
