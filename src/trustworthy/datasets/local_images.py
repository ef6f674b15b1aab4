"""Image sets that are read from files of the user, in the layout in which their authors publish them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from trustworthy.core.errors import DataError
from trustworthy.datasets.draw import sample_rows
from trustworthy.datasets.entry import Content, Entry, LocalSource, Request
from trustworthy.datasets.pictures import Part, classes_of, decode, join, pictures, read_classes, read_part
from trustworthy.datasets.reading import reading

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
KINDS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
AGAIN = "unpack the archive of the set again."
Reader = Callable[[Path, Request], Content]
DOGS_TO_CATS = slice(151, 294)


def records(path: Path, labels: int, shape: tuple[int, ...]) -> Part:
    """Read fixed-length records of `labels` label bytes and one image each; return images and the last labels."""
    with reading(path, AGAIN):
        content = np.fromfile(path, dtype=np.uint8)
    width = labels + int(np.prod(shape))
    if content.size == 0 or content.size % width:
        raise DataError(f"{path} is truncated: {content.size} bytes are not a multiple of {width}; download it again.")
    rows = content.reshape(-1, width)
    return rows[:, labels:].reshape(-1, *shape), rows[:, labels - 1].astype(np.int64)


def cifar10(path: Path, request: Request) -> Content:
    """Read data_batch_*.bin and test_batch.bin, or classes of pictures in folders or an archive."""
    if not (path / "test_batch.bin").exists():
        return read_classes(path, request)
    batches = [records(path / f"data_batch_{number}.bin", 1, (3, 32, 32)) for number in range(1, 6)]
    train = [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]
    return join((train[0], train[1]), records(path / "test_batch.bin", 1, (3, 32, 32)), CIFAR10)


def cifar100(path: Path, request: Request) -> Content:
    """Read train.bin and test.bin (a coarse and a fine label, the image) with the names of the fine labels."""
    train, test = (records(path / f"{part}.bin", 2, (3, 32, 32)) for part in ("train", "test"))
    return join(train, test, (path / "fine_label_names.txt").read_text().split())


def load_array(path: Path) -> np.ndarray:
    """Read one .npy file of a set, as a view of the file where it is large."""
    with reading(path, AGAIN):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def cifar_corrupted(path: Path, request: Request) -> Content:
    """Read one corruption at one severity: rows 10,000 (s - 1) to 10,000 s of KIND.npy and of labels.npy."""
    kind, severity = request.variant.split("/")
    images, labels = load_array(path / f"{kind}.npy"), load_array(path / "labels.npy")
    size = len(images) // 5
    rows = slice(size * (int(severity) - 1), size * int(severity))
    return join(None, _test_images(images[rows], labels[rows]))


def cifar10_1(path: Path, request: Request) -> Content:
    """Read the newer test set cifar10.1_v6."""
    return join(None, _test_images(*(load_array(path / f"cifar10.1_v6_{part}.npy") for part in ("data", "labels"))))


def _test_images(images: np.ndarray, labels: np.ndarray) -> Part:
    if len(images) != len(labels):
        raise DataError(f"{len(images)} images but {len(labels)} labels; {AGAIN}")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels.astype(np.int64)


def stl10(path: Path, request: Request) -> Content:
    """Read train_X.bin, test_X.bin (columns first) and the labels 1 .. 10."""

    def part(name: str) -> Part:
        images, _ = records(path / f"{name}_X.bin", 0, (3, 96, 96))
        labels = np.fromfile(path / f"{name}_y.bin", dtype=np.uint8).astype(np.int64) - 1
        return np.ascontiguousarray(images.transpose(0, 1, 3, 2)), labels

    return join(part("train"), part("test"), STL10)


def tiny_imagenet(path: Path, request: Request) -> Content:
    """Read train/WNID/images and, as the test set, val/images with val_annotations.txt."""
    train = pictures(path / "train")
    wnids = classes_of(train)
    lines = [line.split("\t") for line in (path / "val" / "val_annotations.txt").read_text().splitlines()]
    labels = np.array([wnids.index(line[1]) for line in lines], dtype=np.int64)
    kept = sample_rows(labels, request.limit)
    test = decode([path / "val" / "images" / lines[row][0] for row in kept], request), labels[kept]
    return join(read_part(train, wnids, request), test, _words(path / "words.txt", wnids))


def tiny_imagenet_corrupted(path: Path, request: Request) -> Content:
    """Read KIND/SEVERITY/WNID of Tiny-ImageNet-C."""
    found = pictures(path / request.variant)
    wnids = classes_of(found)
    return join(None, read_part(found, wnids, request), wnids)


def imagenet(path: Path, request: Request, *, size: int = 224, classes: slice = slice(None)) -> Content:
    """Read train/WNID and val/WNID, for the classes in this range of the sorted identifiers."""
    parts = [pictures(path / name) for name in ("train", "val")]
    found = classes_of(parts[0])
    wnids = found[classes]
    if not wnids:
        raise DataError(f"{path / 'train'} holds {len(found)} classes; all 1,000 folders are needed.")
    train, val = (read_part(part, wnids, replace(request, size=size)) for part in parts)
    return join(train, val, _words(path / "words.txt", wnids))


def _words(path: Path, wnids: Sequence[str]) -> list[str]:
    """Names of classes from the table words.txt (identifier, tab, names) where it is there, else the identifiers."""
    if not path.exists():
        return list(wnids)
    table = dict(line.split("\t", 1) for line in path.read_text().splitlines() if "\t" in line)
    return [table.get(wnid, wnid).strip() for wnid in wnids]


def _entry(
    name: str, summary: str, folder: str, read: Reader, how: str, *, others: Sequence[str] = (), provenance="", **more
) -> Entry:
    local = LocalSource(files=(folder, *others), read=read, provenance=provenance)
    return Entry(name=name, summary=summary, local=local, how=how, **more)


def _corrupted(name: str, summary: str, folder: str, read: Reader, record: int, **more) -> Entry:
    how = f"download {folder}.tar from Zenodo record {record} and unpack it there ({folder}/)"
    variants = tuple(f"{kind}/{severity}" for kind in KINDS for severity in range(1, 6))
    summary = f"{summary} under 15 corruptions at 5 severities"
    return _entry(name, summary, folder, read, how, variants=variants, **more)


_ILSVRC = "download ILSVRC2012 from image-net.org and put imagenet/train/WNID/*.JPEG and imagenet/val/WNID/*.JPEG there"

ENTRIES = (
    _entry(
        "cifar10",
        "60,000 colour 32x32 images of ten kinds of things",
        "cifar-10-batches-bin",
        cifar10,
        "download cifar-10-binary.tar.gz from its authors' page and unpack it there (cifar-10-batches-bin/), "
        "or put folders cifar10/train/CLASS and cifar10/test/CLASS of pictures there",
        others=("cifar10", "cifar10.tar.xz", "cifar10-jpeg.tar.xz"),
        class_names=CIFAR10,
        stored=True,
        provenance="Pixels as in the local files; folders of re-encoded JPEG are not the published pixels.",
    ),
    _entry(
        "cifar100",
        "60,000 colour 32x32 images of a hundred kinds of things",
        "cifar-100-binary",
        cifar100,
        "download cifar-100-binary.tar.gz from its authors' page and unpack it there (cifar-100-binary/)",
    ),
    _corrupted("cifar10-c", "the test images of CIFAR-10", "CIFAR-10-C", cifar_corrupted, 2535967, class_names=CIFAR10),
    _corrupted("cifar100-c", "the test images of CIFAR-100", "CIFAR-100-C", cifar_corrupted, 3555552),
    _entry(
        "cifar10.1",
        "2,000 newer test images for CIFAR-10",
        "CIFAR-10.1",
        cifar10_1,
        "download cifar10.1_v6_data.npy and cifar10.1_v6_labels.npy from the CIFAR-10.1 repository to "
        "CIFAR-10.1/ there",
        others=("cifar10.1",),
        class_names=CIFAR10,
    ),
    _entry(
        "stl10",
        "13,000 colour 96x96 images of ten kinds of things",
        "stl10_binary",
        stl10,
        "download stl10_binary.tar.gz from its authors' page and unpack it there (stl10_binary/)",
    ),
    _entry(
        "tiny-imagenet",
        "110,000 colour 64x64 images of 200 classes of ImageNet",
        "tiny-imagenet-200",
        tiny_imagenet,
        "download tiny-imagenet-200.zip from the CS231n course page and unpack it there (tiny-imagenet-200/)",
        provenance="The published validation set is the test set.",
    ),
    _corrupted(
        "tiny-imagenet-c",
        "the validation images of Tiny-ImageNet",
        "Tiny-ImageNet-C",
        tiny_imagenet_corrupted,
        2536630,
    ),
    _entry(
        "imagenet",
        "1.3 million photographs of 1,000 classes, brought to 224x224",
        "imagenet",
        imagenet,
        _ILSVRC,
        provenance="The published validation set is the test set; shorter side resized, centre cut out.",
    ),
    _entry(
        "imagenet-143",
        "the 143 classes of dogs to cats of ImageNet, brought to 64x64",
        "imagenet",
        partial(imagenet, size=64, classes=DOGS_TO_CATS),
        _ILSVRC,
        provenance="Classes 151 to 293 in the order of identifiers; the published validation set is the test set.",
    ),
)
