"""What a map ends in: masks, an order, a share of the area, and the promise that goes over to what is trusted."""

import csv

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from trustworthy.core.errors import InvalidInput
from trustworthy.uncertainty.action import review
from trustworthy.uncertainty.conformal import Intervals, calibrate_maps

WIDTHS = np.array([[[0.1, 0.1], [0.1, 0.9]], [[0.9, 0.9], [0.9, 0.9]], [[0.1, 0.5], [0.1, 0.1]]])


def test_what_is_wider_than_the_tolerance_goes_to_a_person():
    found = review(Intervals.around(7 + np.zeros_like(WIDTHS), WIDTHS, 0.9), 0.6)
    assert_array_equal(found.mask, WIDTHS > 0.6)
    assert found.untrusted.tolist() == [0.25, 1.0, 0.0]
    assert found.order.tolist() == [1, 0, 2]
    assert found.area == 5 / 12
    with pytest.raises(InvalidInput, match="tolerance must be >= 0"):
        review(Intervals.around(WIDTHS, WIDTHS, 0.9), -1)


def test_of_no_image_more_is_trusted_and_wrong_than_lies_outside_of_its_map():
    random = np.random.default_rng(0)
    std = random.uniform(0.2, 3, (60, 1, 6, 6))
    y = std * random.normal(size=std.shape)
    maps = calibrate_maps(np.zeros_like(y), y, std=std)(np.zeros_like(y), std)
    for tolerance in (0.0, 1.0, 3.0, 10.0):
        found = review(maps, tolerance)
        trusted_and_wrong = ~found.mask & (np.abs(y) > tolerance)
        assert (trusted_and_wrong.reshape(60, -1).mean(1) <= maps.missed(y)).all()
        assert 0.0 < found.area < 1.0 or tolerance in (0.0, 10.0)


def test_masks_and_order_are_written(tmp_path):
    channels = np.stack([WIDTHS, np.zeros_like(WIDTHS)], 1)
    found = review(Intervals.around(channels, channels, 0.9), 0.6)
    found.save(tmp_path, ["a", "b", "c"])
    for name, mask in zip("abc", WIDTHS > 0.6, strict=True):
        assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / f"{name}.png")), mask)
    with (tmp_path / "review.csv").open() as stream:
        assert list(csv.reader(stream)) == [["image", "share_not_trusted"], ["b", "0.5"], ["a", "0.125"], ["c", "0"]]
    with pytest.raises(InvalidInput, match="3 names, 2 of them different"):
        found.save(tmp_path, ["a", "b", "a"])
