"""Drawn cells: what is the same whatever is asked beside it, what a mask covers, and what the optics do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.synthetic import COVERAGE, IMPURITIES, TYPES, Optics, cells
from trustworthy.datasets.synthetic.optics import BACKGROUND, DARK, RING
from trustworthy.datasets.synthetic.scene import MARGIN, Scene

CLEAR = Optics(halo=0.0, defocus=0.0, uneven_light=0.0, shot_noise=0.0)


def test_field_k_is_the_same_however_many_there_are_and_none_is_another():
    few, more = cells(2, size=48, seed=5), cells(4, size=48, seed=5)
    assert_array_equal(few.source, more.source[:2])
    assert_array_equal(few.target, more.target[:2])
    others = [cells(1, size=48, seed=6), cells(1, size=48, seed=5, kind="lncap"), few.take([1])]
    assert all((few.source[0] != other.source[0]).mean() > 0.9 for other in others)


@pytest.mark.parametrize(("name", "kind"), list(zip(IMPURITIES, [*TYPES] * 3, strict=True)))
def test_a_mask_covers_exactly_what_an_impurity_changed(name, kind):
    clean, struck = (cells(2, size=96, kind=kind, impurities=given, seed=1) for given in ((), (name,)))
    changed = [(a != b)[:, 0] for a, b in ((clean.source, struck.source), (clean.target, struck.target))]
    assert_array_equal(struck.masks, changed[0] | changed[1])
    covered = struck.masks.mean((1, 2))
    assert ((covered > 0.002) & (covered < 0.4)).all()
    assert clean.masks is None


def test_a_mask_is_where_an_impurity_is_with_its_holes(monkeypatch):
    """A square frame of dye, whose place is known: its inside, where nothing changes, belongs to it."""

    def frame(scene, kind, generator):
        scene.dye[30:50, 40:70] += 1.0
        scene.dye[33:47, 43:67] -= 1.0

    monkeypatch.setitem(IMPURITIES, "frame", frame)
    (mask,) = cells(1, size=64, impurities=("frame",), optics=Optics(defocus=0.0)).masks
    rows, columns = slice(30 - MARGIN, 50 - MARGIN), slice(40 - MARGIN, 70 - MARGIN)
    assert mask[rows, columns].all()
    mask[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1] = False  # what the lens blurs
    assert not mask.any()


def test_what_a_mask_covers_is_visible_but_for_the_noise():
    """The holes that a mask closes are few."""
    still = Optics(shot_noise=0.0)
    clean, struck = (cells(12, size=64, impurities=given, optics=still) for given in ((), tuple(IMPURITIES)))
    visible = np.maximum(*(np.abs(a - b) for a, b in ((clean.source, struck.source), (clean.target, struck.target))))
    shares = [(change[mask] > 0.019).mean() for change, mask in zip(visible[:, 0], struck.masks, strict=True)]
    assert min(shares) > 0.85


def test_the_share_of_struck_fields():
    struck = cells(40, size=32, impurities=("dust", "scratch"), share=0.25).masks.any((1, 2))
    assert 2 <= struck.sum() <= 19  # binomial of 40 at 0.25, 0.999
    assert not cells(2, size=32, impurities=("dust",), share=0.0).masks.any()


def test_densities_are_in_order_and_every_field_has_a_cell():
    for kind in TYPES:
        dye = [cells(3, size=64, density=density, kind=kind).target for density in COVERAGE]
        assert (np.diff([part.mean() for part in dye]) > 0.01).all()
        assert (dye[0].max((1, 2, 3)) > 0.15).all()


def test_phase_contrast_of_a_thin_step_is_that_of_zernike():
    """Without a halo, a phase phi on a mean amplitude m gives |e^(i phi) - (1 + i r) m|^2, over r^2."""
    scene = Scene.empty(64)
    scene.phase[40:50, 40:50] = 0.3
    source, target = CLEAR.pictures(scene, np.random.default_rng(0))
    m = np.exp(1j * scene.phase.astype(float)).mean()
    light = BACKGROUND * np.abs(np.exp(1j * np.array([0.0, 0.3])) - (1 + 1j * RING) * m) ** 2 / RING**2
    empty, step = light / np.cbrt(1.0 + light**3)
    assert_allclose(source[0, 0], empty, rtol=1e-5)
    assert_allclose(source[45 - MARGIN, 45 - MARGIN], step, rtol=1e-5)
    assert step < 0.7 * empty  # positive phase contrast: what is thicker is darker
    assert_allclose(target, DARK, atol=1e-6)


def test_a_halo_is_bright_outside_and_pales_the_inside():
    scene = Scene.empty(64)
    scene.phase[40:56, 40:56] = 0.3
    plain, haloed = (
        Optics(halo=halo, defocus=0.0, uneven_light=0.0).pictures(scene, np.random.default_rng(0))[0]
        for halo in (0.0, 0.9)
    )
    outside, middle = (40 - MARGIN - 2, 48 - MARGIN), (48 - MARGIN, 48 - MARGIN)
    assert haloed[outside] > plain[outside] + 0.05
    assert haloed[middle] > plain[middle] + 0.05


def test_noise_of_the_camera_grows_with_the_root_of_the_light():
    picture = np.repeat(np.float32([0.25, 0.64]), 20_000).reshape(200, 200)
    noise = Optics(shot_noise=0.05).noise(picture, np.random.default_rng(0)) - picture
    assert_allclose([noise[:100].std(), noise[100:].std()], [0.05 * 0.5, 0.05 * 0.8], rtol=0.02)


def test_light_and_defocus_do_what_they_say():
    def source(**changed):
        plain = {"shot_noise": 0.0, "uneven_light": 0.0, "defocus": 0.0}
        return cells(1, optics=Optics(**plain | changed)).source[0, 0]

    sharp, blurred = source(), source(defocus=3.0)
    assert np.abs(np.diff(blurred)).mean() < 0.3 * np.abs(np.diff(sharp)).mean()
    lit = source(uneven_light=0.5) / sharp
    assert 0.15 < lit.max() - 1.0 < 0.6
    assert 0.15 < 1.0 - lit.min() < 0.6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fields": 0}, "fields must be >= 1"),
        ({"size": 16}, "size must be >= 32"),
        ({"density": "spares"}, "did you mean 'sparse'"),
        ({"kind": "hela"}, "unknown kind 'hela'"),
        ({"impurities": ("bubbles",)}, "did you mean 'bubble'"),
        ({"impurities": "dust"}, r"impurities must be a sequence of names, got 'dust'; write \('dust',\)"),
        ({"share": 1.5}, "share must be <= 1"),
        ({"seed": -1}, "seed must be >= 0"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        cells(**{"fields": 1} | given)


@pytest.mark.parametrize("given", [{"halo": 1.1}, {"halo_width": 0.0}, {"defocus": -1.0}, {"shot_noise": -0.1}])
def test_optics_out_of_range_are_refused(given):
    with pytest.raises(InvalidInput, match=next(iter(given))):
        Optics(**given)
