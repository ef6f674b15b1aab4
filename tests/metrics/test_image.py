from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from reference import metrics as reference
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import pearson, psnr, ssim

METRICS = [pearson, psnr, ssim]


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.random((3, 14, 17))
    return image, np.clip(image + 0.2 * rng.normal(size=image.shape), 0, 1)


@given(st.floats(-1e3, 1e3).filter(lambda s: abs(s) > 1e-3), st.floats(-10, 10))
def test_pearson_of_a_straight_line_is_its_sign(slope, shift):
    image = np.random.default_rng(0).random((5, 6))
    assert_allclose(pearson(slope * image + shift, image), math.copysign(1.0, slope), rtol=1e-6)


def test_pearson_is_that_of_numpy(pair):
    a, b = pair
    assert_allclose(pearson(a, b), np.corrcoef(a.ravel(), b.ravel())[0, 1], rtol=1e-13)
    assert pearson(a, b) == pearson(b, a)


def test_pearson_of_orthogonal_patterns_is_zero():
    rows, columns = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    assert abs(pearson(rows, columns)) < 1e-16


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_pearson_does_not_depend_on_the_unit(pair, scale):
    a, b = pair
    assert_allclose(pearson(a * scale, b), pearson(a, b), rtol=1e-12)


def test_psnr_in_closed_form():
    """A difference of 0.1 everywhere is 20 dB below a range of 1; of 1 in 255, 20 log10 255."""
    image = np.random.default_rng(0).random((4, 5))
    assert_allclose(psnr(image + 0.1, image), 20.0, rtol=1e-12)
    eight_bit = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert_allclose(psnr(eight_bit + np.uint8(1), eight_bit, data_range=255), 20 * math.log10(255), rtol=1e-14)
    assert psnr(image, image) == math.inf


def test_psnr_does_not_wrap_unsigned_differences():
    dark, bright = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert psnr(dark, bright, data_range=255) == 0.0


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_ssim_equals_its_definition_window_by_window(pair, data_range):
    a, b = (data_range * image for image in pair)
    expected = np.mean([reference.ssim(p, q, data_range) for p, q in zip(a, b, strict=True)])
    assert_allclose(ssim(a, b, data_range=data_range), expected, rtol=1e-10)
    assert_allclose(ssim(a[0], b[0], data_range=data_range), reference.ssim(a[0], b[0], data_range), rtol=1e-10)


def test_ssim_of_constant_images_in_closed_form():
    """Without variance only the luminance term is left: (2 a b + c1) / (a^2 + b^2 + c1)."""
    a, b, c1 = 0.2, 0.6, 1e-4
    value = ssim(np.full((12, 12), a), np.full((12, 12), b))
    assert_allclose(value, (2 * a * b + c1) / (a * a + b * b + c1), rtol=1e-9)


def test_ssim_is_one_for_equal_images_symmetric_and_bounded(pair):
    a, b = pair
    assert_allclose(ssim(a, a), 1.0, rtol=1e-14)
    assert_allclose(ssim(a, b), ssim(b, a), rtol=1e-14)
    assert -1.0 <= ssim(a, 1 - a) < ssim(a, b) < 1.0


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_gives_one_number_for_each_image(metric, pair):
    a, b = (np.stack([image, image[::-1], image[:, ::-1]]) for image in pair)
    b[1] = 1 - b[1]
    expected = [metric(p, t) for p, t in zip(a, b, strict=True)]
    got = metric(a, b)
    assert got.shape == (3,)
    assert got.tolist() == expected
    assert expected[0] != expected[1]
    assert all(isinstance(value, float) for value in expected)


@pytest.mark.parametrize("metric", METRICS)
def test_refuses_bad_images(metric, pair):
    a, b = pair
    for prediction, target, message in [
        (a, b[:, 1:], r"must have the same shape, got \(3, 14, 17\) and \(3, 13, 17\)"),
        (a, np.full_like(a, np.nan), "target must not contain NaN"),
        (np.full_like(a, np.inf), b, "prediction must be finite"),
        (
            a[None, None],
            b[None, None],
            r"prediction must have shape \(height, width\) or .*\(n, channels, height, width\)",
        ),
        (a[:, :0], b[:, :0], "prediction must not be empty"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            metric(prediction, target)


def test_pearson_refuses_constant_images(pair):
    a, _ = pair
    flat = np.full_like(a, 0.1)
    with pytest.raises(InvalidInput, match=r"prediction must not be constant \(all its values are 0.1\)"):
        pearson(flat, a)
    with pytest.raises(InvalidInput, match="target must not be constant"):
        pearson(a, flat)


def test_ssim_refuses_images_smaller_than_its_window():
    image = np.zeros((8, 20))
    with pytest.raises(InvalidInput, match=r"at least 11 pixels high and wide for SSIM, got \(8, 20\)"):
        ssim(image, image)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_data_range_must_be_positive(metric, pair):
    with pytest.raises(InvalidInput, match="data_range must be > 0"):
        metric(*pair, data_range=0.0)
