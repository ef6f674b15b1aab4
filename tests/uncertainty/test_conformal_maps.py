"""Maps of images: a promise by the image that holds where pixels go together, and a shortcut that does not keep it."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom, norm

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import Predictive
from trustworthy.uncertainty.conformal import calibrate_intervals, calibrate_maps

SIZE = 12
GRID = np.stack(np.meshgrid(*[np.arange(SIZE) / SIZE] * 2))


def fields(n, random):
    """Errors (n, 1, SIZE, SIZE) that are N(0, 1) in each pixel and nearly one number in an image."""
    wave = 2 * np.pi * np.tensordot(random.uniform(-0.2, 0.2, (n, 2)), GRID, 1)
    a, b = random.normal(size=(2, n, 1, 1))
    return (a * np.cos(wave) + b * np.sin(wave))[:, None]


def true_risk(factor):
    """Of each pixel, whatever the others do: the expected share missed of a new image."""
    return 2 * norm.sf(factor)


def factors(n, repetitions, as_rows=False, **settings):
    """Calibrated factors; the shortcut takes each pixel for an image of its own."""
    random = np.random.default_rng(0)
    shape = (-1, 1) if as_rows else (n, 1, SIZE, SIZE)
    calibrations = (fields(n, random).reshape(shape) for _ in range(repetitions))
    return np.array([calibrate_maps(np.zeros_like(y), y, **settings).factor for y in calibrations])


def test_the_risk_holds_by_the_image_as_often_as_was_promised_and_by_the_pixel_it_does_not():
    settings = {"risk": 0.1, "level": 0.9}
    risks = true_risk(factors(60, 200, **settings))
    assert (risks > 0.1).sum() <= binom.ppf(0.999, 200, 0.1)
    assert risks.mean() > 0.02  # and not by intervals without an end
    shortcut = true_risk(factors(60, 200, as_rows=True, **settings))
    assert (shortcut > 0.1).sum() >= binom.ppf(0.999, 200, 0.3)


def test_on_average_the_risk_holds_with_few_images():
    risks = true_risk(factors(12, 400, risk=0.1, level=0))
    assert risks.mean() < 0.1 + 3 * risks.std() / np.sqrt(400)
    assert risks.mean() > 0.03


def test_intervals_of_pixels_as_rows_promise_what_they_do_not_keep():
    """MAPIE takes them without a word."""
    y = fields(30, np.random.default_rng(1))
    found = calibrate_intervals(np.zeros(y.size), y.reshape(-1), level=0.9)(np.zeros(1))
    covered = 1 - true_risk(found.half_width[0])
    assert abs(covered - 0.9) > 5 * np.sqrt(0.09 / y.size)


def test_the_factor_is_the_smallest_that_misses_no_more_than_is_allowed():
    y = fields(80, np.random.default_rng(0))
    mean, std = 0.3 * np.ones_like(y), 0.5 + np.arange(SIZE) * np.ones_like(y)
    calibrated = calibrate_maps(mean, y, std=std, risk=0.2, level=0.8)
    maps = calibrated(mean, std)
    measured = maps.missed(y).mean()
    tail = np.exp(1) * binom.cdf(np.ceil(80 * measured), 80, 0.2)
    kl = measured * np.log(measured / 0.2) + (1 - measured) * np.log((1 - measured) / 0.8)
    assert min(tail, np.exp(-80 * kl)) <= 0.2
    assert_allclose(maps.half_width, calibrated.factor * std, rtol=1e-12)
    assert (maps.level, maps.risk) == (0.8, 0.2)
    # One pixel more would be one too many.
    more = measured + 1 / y.size
    tail = np.exp(1) * binom.cdf(np.ceil(80 * more - 1e-9), 80, 0.2)
    kl = more * np.log(more / 0.2) + (1 - more) * np.log((1 - more) / 0.8)
    assert min(tail, np.exp(-80 * kl)) > 0.2


def test_whole_numbers_on_the_end_of_their_interval_are_not_lost():
    random = np.random.default_rng(0)
    mean = (random.integers(0, 256, (40, 1, 8, 8)) / 255).astype(np.float32)
    y = mean + (random.integers(-1, 2, mean.shape) / 255).astype(np.float32)
    assert calibrate_maps(mean, y)(mean).missed(y).max() == 0


def test_the_draws_of_a_posterior_give_the_width_in_their_own_precision():
    members = torch.randn(4, 40, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    predictive, y = Predictive(members), fields(40, np.random.default_rng(0))[..., :5, :6].astype(np.float32)
    mean, std = predictive.mean.numpy(), predictive.std.numpy()
    maps = calibrate_maps(predictive, y)(predictive)
    assert maps.lower.dtype == np.float32
    assert_array_equal(maps.upper, calibrate_maps(mean, y, std=std)(mean, std).upper)
    one = Predictive(members[:1])
    calibrated = calibrate_maps(one, y)
    assert_allclose(calibrated(one).half_width, calibrated.factor, rtol=1e-5)


ZEROS = np.zeros((40, 2, 2))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: calibrate_maps(ZEROS[:21], ZEROS[:21]), "needs at least 22 calibration images, got 21"),
        (lambda: calibrate_maps(ZEROS[:8], ZEROS[:8], level=0), "needs at least 9 calibration images, got 8"),
        (lambda: calibrate_maps(ZEROS, ZEROS[..., :1]), "y must have the shape of prediction"),
        (lambda: calibrate_maps(ZEROS, ZEROS, std=ZEROS - 1), "std must be >= 0"),
        (lambda: calibrate_maps(ZEROS, ZEROS + 1, std=ZEROS), "std is 0 at 100.0% of the pixels"),
        (lambda: calibrate_maps(ZEROS + np.nan, ZEROS), "prediction must be finite"),
        (lambda: calibrate_maps(ZEROS[:, 0, 0], ZEROS[:, 0, 0]), r"must hold real numbers of shape \(n, \*shape\)"),
        (lambda: calibrate_maps(ZEROS, ZEROS, risk=1), "risk must be < 1"),
        (lambda: calibrate_maps(ZEROS, ZEROS, level=1.5), "level must be < 1"),
        (lambda: calibrate_maps(ZEROS, ZEROS)(ZEROS, ZEROS), "std must be given only where"),
    ],
)
def test_refuses_what_makes_no_sense_and_says_how_many_images_are_needed(call, said):
    with pytest.raises(InvalidInput, match=said):
        call()


def test_a_few_pixels_without_spread_are_among_those_missed():
    std, y = np.ones_like(ZEROS), np.zeros_like(ZEROS)
    std[0, 0, 0], y[0, 0, 0] = 0, 1
    maps = calibrate_maps(ZEROS, y, std=std)(ZEROS, std)
    assert maps.missed(y).tolist() == [0.25] + [0.0] * 39
