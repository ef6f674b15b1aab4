import numpy as np
import pytest

from trustworthy.datasets.synthetic import cells
from trustworthy.studio.pairs import looking
from trustworthy.studio.pairs.checking import check_project


@pytest.fixture(scope="module")
def fields():
    pairs = cells(5, size=80, density="dense", seed=1)
    return [
        (np.round(4000 * s), np.round(1000 + 50 * t))
        for s, t in zip(pairs.source[:, 0], pairs.target[:, 0], strict=True)
    ]


@pytest.fixture
def check(session, storage, project):
    def checked(seconds=float("inf")):
        found = check_project(session, storage, project.id, seconds)
        return {remark.title: remark for remark in found.remarks}, found

    return checked


def as_type(images, dtype):
    return tuple(image.astype(dtype) for image in images)


def test_nothing_is_wrong_with_cells(check, add_pairs, fields):
    a, b, c, _, _ = (as_type(field, np.uint16) for field in fields)
    add_pairs("train", a=a)
    add_pairs("validation", b=(b[0], b[1].astype(np.float32)))
    add_pairs("test", c=c)
    remarks, found = check()
    assert not found.stops
    assert [remark.title for remark in found.remarks if remark.level == "warning"] == [
        "Only 3 pairs", "The targets differ in their type",
    ]  # fmt: skip
    assert remarks["The targets differ in their type"].names == ("b",)
    assert "3 pairs" in remarks["Source and target lie on each other"].text
    assert "correlation of -0.80, which means that what is bright" in remarks["What is reached without a network"].text


def test_tells_what_is_wrong(check, add_pairs, fields, with_images):
    a, b, c, d, e = (as_type(field, np.uint16) for field in fields)
    cut = np.minimum(a[0], np.quantile(a[0], 0.9).astype(np.uint16))
    add_pairs(
        "train",
        a=a,
        small=(b[0], b[1][:-1]),
        dark=(c[0], np.full_like(c[1], 7)),
        mask=(d[0], (d[1] > 1020) * np.uint16(255)),
    )
    add_pairs("validation", colours=(np.stack((e[0], e[0])), e[1]), bright=(cut, a[1]))
    add_pairs("test", again=(a[0][::-1], a[1]), noisy=(d[0] + np.uint16(1), d[1] + np.uint16(1)))
    with_images(["alone.tif"], [])
    remarks, found = check()
    assert found.stops
    told = {title: remark.names for title, remark in remarks.items() if remark.level != "fine"}
    assert told == {
        "Source and target differ in size": ("small",),
        "Images with nothing in them": ("out/dark.tif",),
        "The same image in training and test": ("again and bright",),
        "The sources differ in their channels": ("colours",),
        "Only 8 pairs": (),
        "Almost the same image in training and test": ("noisy and mask",),
        "Images that are probably overexposed": ("in/bright.tif",),
        "1 image without a partner": ("alone.tif",),
    }
    assert "dark" not in remarks["Whether they lie on each other cannot be told yet"].names
    assert "80 x 80 px and 80 x 79 px in small" in remarks["Source and target differ in size"].text


def test_finds_what_is_moved(check, add_pairs, fields):
    for part, name, (source, target) in zip(("train", "train", "test"), "abc", fields, strict=False):
        add_pairs(part, **{name: (source[3:, 4:], target[:-3, :-4]) if name != "c" else (source[3:], target[3:])})
    remarks, _ = check()
    moved = remarks["Source and target are moved against each other"]
    assert "In 2 of 3 pairs; the target lies 3 px below and 4 px right" in moved.text
    assert moved.names == ("a: 3 px below and 4 px right", "b: 3 px below and 4 px right")


def test_looks_once_and_again_where_the_axes_were_corrected(check, add_pairs, fields, monkeypatch):
    pairs = add_pairs("train", **{name: as_type(field, np.uint16) for name, field in zip("abc", fields, strict=False)})
    opened = []
    monkeypatch.setattr(looking, "open_image", lambda *given, do=looking.open_image: opened.append(given) or do(*given))
    _, found = check(seconds=0)
    assert (found.seen.waiting, opened) == (3, [])
    assert check()[1].seen.waiting == 0
    check()
    assert len(opened) == 6
    pairs[0].source.description = {**pairs[0].source.description, "axes": "XY"}
    check()
    assert len(opened) == 8


def test_damaged_pixels_are_told(check, add_pairs, fields, storage):
    pairs = add_pairs("train", **{name: as_type(field, np.uint16) for name, field in zip("ab", fields, strict=False)})
    pairs[1].part = "test"
    file = storage.image(pairs[0].project_id, pairs[0].target_id, ".tif")
    file.write_bytes(file.read_bytes()[:300])
    assert check()[0]["Images that cannot be read"].names == ("a",)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ecoli", "ebimage"])
def test_real_pairs_are_fine(name, check, add_pairs, shared_pairs):
    pairs = shared_pairs(name)
    for row, field in enumerate(pairs.names):
        part = ("train", "validation", "test")[min(row, 2)]
        add_pairs(part, **{f"f{field}": (pairs.source[row, 0], pairs.target[row, 0])})
    remarks, found = check()
    assert not found.stops
    assert {title for title, remark in remarks.items() if remark.level == "warning"} <= {
        "Only 4 pairs", "Images that are probably overexposed",  # bright field of bacteria is, and so are nuclei
    }  # fmt: skip
