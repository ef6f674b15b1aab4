"""Image sets of the dissertation, each in a tiny folder laid out as its authors publish it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trustworthy import datasets
from trustworthy.core.errors import DataError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    return tmp_path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def paint(file: Path, value: int, side: int = 8) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (value, value, value)).save(file)


def values(x: object) -> list[int]:
    return [round(float(image.mean()) * 255) for image in np.asarray(x)]


def test_cifar10_batches(data: Path) -> None:
    folder = data / "cifar-10-batches-bin"
    folder.mkdir()
    images = noise(6, 3, 32, 32)
    for number, image in enumerate(images):
        name = f"data_batch_{number + 1}.bin" if number < 5 else "test_batch.bin"
        (folder / name).write_bytes(bytes([number]) + image.tobytes())
    found = datasets.load("cifar10")
    np.testing.assert_array_equal(found.y_train, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(found.y_test, [5])
    np.testing.assert_array_equal(np.round(np.asarray(found.x_train) * 255), images[:5])
    assert found.class_names[5] == "dog"
    assert datasets.state("cifar10") == "cached"
    (folder / "test_batch.bin").write_bytes(b"\x00" * 3_000)
    with pytest.raises(DataError, match=r"test_batch.bin is truncated: 3000 bytes are not a multiple of 3073"):
        datasets.load("cifar10", source=folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"cannot read .*data_batch_3.bin: .*; unpack the archive"):
        datasets.load("cifar10", source=folder)


def test_cifar10_as_classes_is_cached_whole_even_when_a_limit_is_given(data: Path) -> None:
    for part in ("train", "test"):
        for value, name in enumerate(("cat", "dog")):
            for row in range(3):
                paint(data / "cifar10" / part / name / f"{row}.png", 100 * value)
    assert len(datasets.load("cifar10", limit=2).y_train) == 2
    found = datasets.load("cifar10", source="cache")
    assert (len(found.y_train), found.class_names, found.canonical) == (6, ("cat", "dog"), False)
    assert values(found.x_test) == [100 * label for label in found.y_test]


def test_cifar100_uses_the_fine_labels(data: Path) -> None:
    folder = data / "cifar-100-binary"
    folder.mkdir()
    image = noise(3, 32, 32)
    (folder / "fine_label_names.txt").write_text("apple\nbeaver\ncrab\n")
    for name in ("train", "test"):
        (folder / f"{name}.bin").write_bytes(b"\x09\x02" + image.tobytes())
    found = datasets.load("cifar100")
    assert (found.y_train.tolist(), found.class_names) == ([2], ("apple", "beaver", "crab"))
    np.testing.assert_array_equal(np.round(np.asarray(found.x_test[0]) * 255), image)


def test_cifar_corrupted_takes_the_rows_of_the_severity(data: Path) -> None:
    folder = data / "CIFAR-10-C"
    folder.mkdir()
    images = noise(10, 32, 32, 3)  # two rows for each severity
    np.save(folder / "fog.npy", images)
    np.save(folder / "labels.npy", np.arange(10, dtype=np.uint8))
    found = datasets.load("cifar10-c/fog/3")
    assert (found.name, found.y_test.tolist(), len(found.y_train)) == ("cifar10-c/fog/3", [4, 5], 0)
    np.testing.assert_array_equal(np.round(np.asarray(found.x_test) * 255), images[4:6].transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match=r"cannot read .*gaussian_noise.npy"):
        datasets.load("cifar10-c")
    (folder / "fog.npy").write_bytes((folder / "fog.npy").read_bytes()[:500])
    with pytest.raises(DataError, match=r"cannot read .*fog.npy"):
        datasets.load("cifar10-c/fog/1")


def test_cifar10_1(data: Path) -> None:
    folder = data / "CIFAR-10.1"
    folder.mkdir()
    np.save(folder / "cifar10.1_v6_data.npy", noise(3, 32, 32, 3))
    np.save(folder / "cifar10.1_v6_labels.npy", np.array([7, 8, 9]))
    assert datasets.load("cifar10.1").y_test.tolist() == [7, 8, 9]
    np.save(folder / "cifar10.1_v6_labels.npy", np.array([7, 8]))
    with pytest.raises(DataError, match="3 images but 2 labels"):
        datasets.load("cifar10.1")


def test_stl10_is_stored_columns_first(data: Path) -> None:
    folder = data / "stl10_binary"
    folder.mkdir()
    image = noise(3, 96, 96)
    for name in ("train", "test"):
        (folder / f"{name}_X.bin").write_bytes(image.transpose(0, 2, 1).tobytes())
        (folder / f"{name}_y.bin").write_bytes(b"\x0a")
    found = datasets.load("stl10")
    assert (found.y_test.tolist(), found.class_names[9]) == ([9], "truck")
    np.testing.assert_array_equal(np.round(np.asarray(found.x_test[0]) * 255), image)


def test_tiny_imagenet(data: Path) -> None:
    folder = data / "tiny-imagenet-200"
    for label, wnid in enumerate(("n01", "n02")):
        for row in range(2):
            paint(folder / "train" / wnid / "images" / f"{wnid}_{row}.JPEG", 100 * label)
            paint(folder / "val" / "images" / f"val_{2 * label + row}.JPEG", 100 * label)
    lines = [f"val_{row}.JPEG\tn0{1 + row // 2}\t0\t0\t8\t8" for row in range(4)]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (folder / "words.txt").write_text("n01\tgoldfish\nn02\tfire salamander, salamander\nn03\tfrog\n")
    found = datasets.load("tiny-imagenet")
    assert found.class_names == ("goldfish", "fire salamander, salamander")
    assert found.y_test.tolist() == [0, 0, 1, 1]
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        assert values(x) == [100 * label for label in y]
    assert len(datasets.load("tiny-imagenet", limit=2).y_test) == 2


def test_tiny_imagenet_corrupted(data: Path) -> None:
    for label, wnid in enumerate(("n01", "n02")):
        paint(data / "Tiny-ImageNet-C" / "snow" / "5" / wnid / "a.JPEG", 100 * label)
    found = datasets.load("tiny-imagenet-c/snow/5")
    assert (found.class_names, len(found.y_train)) == (("n01", "n02"), 0)
    assert values(found.x_test) == [100 * label for label in found.y_test]
    with pytest.raises(DataError, match=r"there is no file or folder|holds no classes"):
        datasets.load("tiny-imagenet-c/fog/1")


def test_imagenet_is_resized_and_143_takes_the_dogs_to_cats(data: Path) -> None:
    for part in ("train", "val"):
        for number in range(300):
            if part == "train" or number in (0, 150, 151, 293, 294):
                paint(data / "imagenet" / part / f"n{number:03d}" / "a.JPEG", number % 256, side=9)
    whole = datasets.load("imagenet", limit=2)
    assert whole.shape == (3, 224, 224)
    assert len(whole.class_names) == 300
    dogs = datasets.load("imagenet-143")
    assert (dogs.shape, len(dogs.y_train)) == ((3, 64, 64), 143)
    assert (dogs.class_names[0], dogs.class_names[-1]) == ("n151", "n293")
    assert sorted(dogs.y_test) == [0, 142]


def test_imagenet_143_needs_every_folder(data: Path) -> None:
    for part in ("train", "val"):
        paint(data / "imagenet" / part / "n000" / "a.JPEG", 1)
    with pytest.raises(DataError, match="holds 1 classes; all 1,000 folders are needed"):
        datasets.load("imagenet-143")
