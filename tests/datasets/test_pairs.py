"""Pairs of images: what a folder may hold, what is cut and pasted, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from trustworthy.core.errors import DataError, DataUnavailable, InvalidInput, TrustworthyWarning, UnknownName
from trustworthy.datasets.pairs import ImagePairs, boxed, boxes, load_pairs, paste, patches, read_pairs, spatial_split
from trustworthy.datasets.pairs.files import read_image
from trustworthy.datasets.pairs.named import CELLS

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def random(*shape: int, dtype=np.uint16, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 250, shape)
    return values.astype(dtype)


def some(count: int = 3, size: int = 24, dtype=np.float32, seed: int = 0, **more) -> ImagePairs:
    source, target = random(2, count, 1, size, size, dtype=dtype, seed=seed)
    return ImagePairs(name="some", source=source, target=target, names=tuple(map(str, range(count))), **more)


def write(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".tif":
        tifffile.imwrite(file, image, byteorder=image.dtype.byteorder.replace("|", "="))
    else:
        Image.fromarray(image).save(file)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".tif", np.uint8),
        (".tif", np.uint16),
        (".tif", ">u2"),
        (".tif", ">f4"),
        (".png", np.uint8),
        (".png", np.uint16),
    ],
)
def test_values_and_depth_stay_what_they_are(tmp_path, suffix, dtype):
    images = random(2, 2, 5, 7, dtype=dtype)
    for role, stack in zip(("source", "target"), images, strict=True):
        for name, image in zip("ba", stack, strict=True):
            write(tmp_path / role / f"{name}{suffix}", image)
    pairs = read_pairs(tmp_path)
    assert pairs.names == ("a", "b")
    assert_array_equal(pairs.source[:, 0], images[0, ::-1])
    assert_array_equal(pairs.target[:, 0], images[1, ::-1])
    assert pairs.source.dtype == np.dtype(dtype).newbyteorder("=")
    assert read_image(tmp_path / "source" / f"a{suffix}").dtype.isnative  # else one order would not go with the other
    assert pairs.masks is None


def test_channels_come_first_and_endings_may_differ(tmp_path):
    colours, planes = random(6, 8, 3, dtype=np.uint8), random(5, 6, 8)
    write(tmp_path / "in" / "a.png", colours)
    tifffile.imwrite(_made(tmp_path / "out") / "a.tif", planes, photometric="minisblack")
    write(tmp_path / "mask" / "a.png", (np.arange(48).reshape(6, 8) == 13).astype(np.uint8))
    pairs = read_pairs(tmp_path, source="in", target="out")
    assert_array_equal(pairs.source[0], colours.transpose(2, 0, 1))
    assert_array_equal(pairs.target[0], planes)
    assert_array_equal(np.flatnonzero(pairs.masks), [13])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_compressed_tiff_is_read_as_pillow_decodes_it_if_it_has_no_floats(tmp_path, monkeypatch):
    def without_imagecodecs(file: Path) -> np.ndarray:
        raise ValueError(f"{file.name} requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile, "imread", without_imagecodecs)
    smooth = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 3
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    assert_allclose(read_image(tmp_path / "a.tif")[0].astype(float), smooth, atol=6)
    deep = smooth.astype(np.uint16) * 250
    Image.fromarray(deep).save(tmp_path / "b.tif", compression="tiff_lzw")
    assert_array_equal(read_image(tmp_path / "b.tif")[0], deep)
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "c.tif", compression="tiff_lzw")
    with pytest.raises(DataError, match="requires the 'imagecodecs' package; save it anew"):
        read_image(tmp_path / "c.tif")


def test_what_does_not_make_pairs_is_named_with_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*source; call the two folders source and target, or"):
        read_pairs(tmp_path)
    for name in "abc":
        write(tmp_path / "source" / f"{name}.tif", random(8, 8))
    with pytest.raises(DataError, match="holds no image of the kinds"):
        read_pairs(tmp_path, target=_made(tmp_path / "empty").name)
    for name in "bcd":
        write(tmp_path / "target" / f"{name}.tif", random(8, 8))
    with pytest.raises(DataError, match="but there is no source of 'd'; no target of 'a'"):
        read_pairs(tmp_path)
    (tmp_path / "source" / "a.tif").unlink()
    (tmp_path / "target" / "d.tif").unlink()
    write(tmp_path / "source" / "c.tif", random(8, 10))
    with pytest.raises(InvalidInput, match=r"'b' and 'c' of the source images .* one size .* crop=8"):
        read_pairs(tmp_path)
    assert read_pairs(tmp_path, crop=8).source.shape == (2, 1, 8, 8)
    with pytest.raises(InvalidInput, match="crop must be at most the side of every image, got 9"):
        read_pairs(tmp_path, crop=9)
    write(tmp_path / "source" / "c.tif", random(8, 8, dtype=np.uint8))
    with pytest.raises(InvalidInput, match="must have one type, got uint16 and uint8"):
        read_pairs(tmp_path)
    (tmp_path / "source" / "c.tif").write_bytes((tmp_path / "source" / "b.tif").read_bytes()[:-64])
    with pytest.raises(DataError, match=r"cannot read .*c.tif"):
        read_pairs(tmp_path)
    write(tmp_path / "source" / "b.png", random(8, 8, dtype=np.uint8))
    with pytest.raises(DataError, match="two files called 'b'"):
        read_pairs(tmp_path)


def test_images_that_no_model_can_learn_from_are_refused_by_name():
    pairs = some()
    broken = pairs.target.copy()
    broken[1, 0, 3, 3] = np.nan
    with pytest.raises(InvalidInput, match="target must be finite, got NaN or infinity in '1'; remove"):
        replace(pairs, target=broken)
    with pytest.raises(InvalidInput, match="source must vary, got images of one value each"):
        replace(pairs, source=np.zeros_like(pairs.source))
    flat = pairs.source.copy()
    flat[2] = 7.0
    with pytest.warns(TrustworthyWarning, match="source has one value everywhere in '2'"):
        replace(pairs, source=flat)


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": random(3, 1, 20, 24)}, "as many and of one size, got shapes"),
        ({"source": random(3, 24, 24)}, r"source must have shape \(n, channels, height, width\)"),
        ({"source": random(3, 1, 24, 24) > 9}, "integers or real numbers, got dtype bool"),
        ({"names": ("0", "1")}, "names must have one entry for each of the 3 pairs, got 2"),
        ({"names": ("0", "1", "1")}, "names must be all different"),
        ({"masks": np.zeros((3, 24, 24))}, r"masks must be bool of shape \(3, 24, 24\), got float64"),
    ],
)
def test_parts_that_do_not_fit_are_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        replace(some(), **given)


def test_some_pairs_and_some_channels():
    masks = np.arange(3)[:, None, None] == np.full((24, 24), 1)
    pairs = some(masks=masks, groups=("a", "b", "b"))
    for rows in ([2, 1], np.array([False, True, True]), slice(1, None)):
        taken = pairs.take(rows)
        order = np.arange(3)[rows]
        assert_array_equal(taken.source, pairs.source[order])
        assert taken.names == tuple(str(row) for row in order)
        assert taken.groups == ("b", "b")
        assert_array_equal(taken.masks, masks[order])
    many = replace(pairs, source=np.concatenate([pairs.source, pairs.target], 1))
    assert_array_equal(many.channels(source=[1]).source, pairs.target)
    with pytest.raises(InvalidInput, match="source must be <= 1, got 2"):
        many.channels(source=[2])


def test_patches_are_cut_alike_and_know_their_image():
    pairs = some(masks=np.random.default_rng(0).random((3, 24, 24)) < 0.5)
    pairs = replace(pairs, target=pairs.source + np.where(pairs.masks, 1000.0, 2000.0)[:, None].astype(np.float32))
    cut = patches(pairs, 7, 40, seed=1)
    assert_allclose(cut.target - cut.source, np.where(cut.masks, 1000.0, 2000.0)[:, None], atol=1e-3)
    for patch, group in zip(cut.source, cut.groups, strict=True):
        views = np.lib.stride_tricks.sliding_window_view(pairs.source[int(group), 0], (7, 7))
        assert (views == patch[0]).all((2, 3)).sum() == 1
    assert set(cut.groups) == {"0", "1", "2"}
    assert_array_equal(patches(pairs, 7, 40, seed=1).source, cut.source)


def test_a_spatial_split_leaves_a_gap_that_is_in_neither_part():
    pairs = some(1, 40)
    train, test = spatial_split(pairs, test=0.25, gap=8)
    assert_array_equal(train.source, pairs.source[..., :22])
    assert_array_equal(test.target, pairs.target[..., 30:])
    with pytest.raises(InvalidInput, match=r"leave columns on both sides, got 0\.5 and 20 of 40"):
        spatial_split(pairs, test=0.5, gap=20)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pasted_patches_change_what_the_mask_covers_and_nothing_else(dtype):
    pairs, foreign = some(4, 40, dtype, seed=1), some(5, 12, dtype, seed=2)
    pasted = paste(pairs, foreign, count=2, seed=3)
    for before, after in ((pairs.source, pasted.source), (pairs.target, pasted.target)):
        assert after.dtype == dtype
        changed = (before != after)[:, 0]
        assert not (changed & ~pasted.masks).any()
        assert changed[pasted.masks].mean() > 0.9  # a few pixels have the same value in both
    assert (pasted.masks.sum((1, 2)) > 0.7 * 144).all()
    assert_array_equal(paste(pairs.take([0]), foreign, count=2, seed=3).masks[0], pasted.masks[0])
    assert_array_equal(paste(pairs, foreign, seed=3).masks & ~pasted.masks, False)


def test_a_pasted_patch_is_as_bright_as_the_set_it_lies_in():
    """In the middle of a patch it is the foreign image itself, once mean and deviation are exchanged."""
    pairs, foreign = some(1, 12, seed=1), some(1, 12, seed=2)
    foreign = replace(foreign, source=foreign.source * 3.0 + 500.0)
    pasted = paste(pairs, foreign)
    theirs = foreign.source[0, 0].astype(float)
    expected = (theirs - theirs.mean()) / theirs.std() * pairs.source.std() + pairs.source.mean()
    assert_allclose(pasted.source[0, 0, 4:8, 4:8], expected[4:8, 4:8], rtol=1e-4)
    with pytest.raises(InvalidInput, match="foreign must be square and at most 12"):
        paste(pairs, some(1, 13))
    with pytest.raises(InvalidInput, match=r"as many source channels as the pairs, got 2 and 1"):
        paste(pairs, replace(foreign, source=np.repeat(foreign.source, 2, axis=1)))


def test_pasted_integers_are_rounded_and_do_not_wrap():
    pairs, foreign = some(1, 12, np.uint8, seed=1), some(1, 12, np.uint8, seed=2)
    pairs = replace(pairs, source=np.where(pairs.source > 125, 255, 0).astype(np.uint8))
    real = [replace(one, source=one.source.astype(np.float64)) for one in (pairs, foreign)]
    expected = paste(*real).source.clip(0.0, 255.0)
    assert_allclose(paste(pairs, foreign).source, expected, atol=0.5 + 1e-9)
    assert (paste(*real).source > 256).any()


def test_boxes_hold_what_is_near_together():
    mask = np.zeros((20, 30), bool)
    mask[2:4, 3:6] = mask[5, 8] = mask[15, 25:] = True
    apart = [(2, 3, 4, 6), (5, 8, 6, 9), (15, 25, 16, 30)]
    assert boxes(mask, gap=1) == boxes(mask, gap=2) == apart
    assert boxes(mask, gap=3) == boxes(mask, gap=6) == [(2, 3, 6, 9), (15, 25, 16, 30)]
    filled = boxed(mask[None], gap=6)[0]
    assert filled.sum() == 4 * 6 + 5
    assert filled[mask].all()


def test_drawn_sets_have_names_and_share_no_cells():
    sets = [load_pairs(name, fields=2, size=32) for name in CELLS if name.startswith(("cells/msc", "cells/lncap-d"))]
    assert all(len(found) == 2 and found.source.dtype == np.float32 for found in sets)
    clean, impure, foreign = (load_pairs(f"cells/msc-{name}", fields=1) for name in ("clean", "impurities", "lncap"))
    assert clean.masks is None
    assert foreign.masks.any()
    assert all((clean.source != other.source).mean() > 0.9 for other in (impure, foreign))


def test_names_and_folders_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    with pytest.raises(UnknownName, match="did you mean 'ecoli'"):
        load_pairs("ecolli")
    with pytest.raises(DataUnavailable, match=r"put its files into microscopy/phase_contrast .* TRUSTWORTHY_DATA"):
        load_pairs("phase-contrast")
    with pytest.raises(InvalidInput, match="ecoli takes no settings, as it is not drawn; got fields"):
        load_pairs("ecoli", fields=3)


@pytest.mark.parametrize(
    ("name", "source", "target", "dtype"),
    [
        ("ecoli", (10, 1, 512, 512), (10, 1, 512, 512), np.uint16),
        ("ebimage", (4, 1, 510, 510), (4, 1, 510, 510), np.uint8),
        ("phase-contrast", (1, 13, 1024, 1024), (1, 3, 1024, 1024), np.uint16),
    ],
)
@pytest.mark.slow
def test_real_microscopy(name, source, target, dtype):
    if not (SHARED / "microscopy").exists():
        pytest.skip("../shared/data/microscopy is not beside the repository")
    pairs = load_pairs(name, folder=SHARED)
    assert (pairs.source.shape, pairs.target.shape) == (source, target)
    assert pairs.source.dtype == pairs.target.dtype == dtype
