import functools

import numpy as np
import pytest

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.synthetic import cells
from trustworthy.studio.pairs.registration import shift


def moved(image, down, right):
    """The middle of an image after it was moved: no pixel comes in from the other side."""
    edge = 8
    height, width = image.shape
    return image[edge - down : height - edge - down, edge - right : width - edge - right]


drawn = functools.cache(cells)


@pytest.mark.parametrize("density", ["sparse", "dense"])
@pytest.mark.parametrize("planted", [(0, 0), (3, 0), (-3, 3), (0, 7)])
def test_finds_a_planted_shift_between_phase_contrast_and_fluorescence(density, planted):
    pairs = drawn(2, size=144, density=density, seed=5)
    for source, target in zip(pairs.source[:, 0], pairs.target[:, 0], strict=True):
        found = shift(moved(source, 0, 0), moved(1000 + 50 * target, *planted))
        assert np.abs(np.subtract(found[:2], planted)).max() <= 0.7
        assert found.found == (planted != (0, 0))


def test_claims_nothing_of_images_that_do_not_belong_together():
    pairs = cells(6, size=128, seed=3)
    assert not any(shift(pairs.source[k, 0], pairs.target[k - 1, 0]).found for k in range(6))


@pytest.mark.slow
@pytest.mark.parametrize("planted", [(0, 0), (3, 0), (-3, 3), (0, 7)])
def test_between_bright_field_and_fluorescence_of_bacteria(shared_pairs, planted):
    pairs = shared_pairs("ecoli")
    found = [
        shift(moved(source, 0, 0), moved(target, *planted))
        for source, target in zip(pairs.source[:, 0], pairs.target[:, 0], strict=True)
    ]
    assert all(np.abs(np.subtract(each[:2], planted)).max() <= 2 for each in found)
    assert sum(each.found for each in found) >= 8 * (planted != (0, 0))
    assert planted != (0, 0) or not any(each.found for each in found)


@pytest.mark.parametrize("image", [np.ones((64, 64)), np.eye(31), np.zeros((1, 1)), np.zeros((40, 33), np.uint8)])
def test_claims_nothing_where_there_is_nothing_to_see(image):
    assert shift(image, image) == (0, 0, 0.0)


@pytest.mark.usefixtures("_as_users_call_it")
def test_refuses_two_sizes():
    with pytest.raises(InvalidInput, match=r"one size, got \(40, 40\) and \(40, 41\)"):
        shift(np.ones((40, 40)), np.ones((40, 41)))
