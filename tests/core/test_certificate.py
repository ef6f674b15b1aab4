"""What a certificate says at a radius, and certificates joined."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from trustworthy.core.certificate import Certificate
from trustworthy.core.errors import InvalidInput


def certificate(lower, upper, exact, perturbation=None):
    return Certificate(np.array(lower), np.array(upper), np.array(exact), perturbation)


def test_the_certified_error_counts_what_is_not_proved():
    wrong, bounded, exact, abstained = (0.0, 0.0, True), (1.0, np.inf, False), (2.0, 2.0, True), (0.0, np.inf, False)
    found = certificate(*zip(wrong, bounded, exact, abstained, strict=True))
    assert_array_equal(found.error_at([0.0, 0.5, 1.0, 1.5, 2.0]), [0.5, 0.5, 0.75, 0.75, 1.0])


def test_a_row_within_rounding_of_a_tie_is_right_at_radius_0_and_proved_nowhere_else():
    assert_array_equal(certificate([0.0], [2.5e-11], [True]).error_at([0.0, 1e-300]), [0.0, 1.0])


def test_one_radius_is_a_list_of_one():
    assert_array_equal(certificate([1.0], [1.0], [True]).error_at(0.5), [0.0])


@pytest.mark.parametrize("radii", [[-1.0], [np.nan], [np.inf], "far", [[1.0]]])
def test_radii_that_are_none_are_refused(radii):
    with pytest.raises(InvalidInput, match="radii must be finite numbers >= 0"):
        certificate([1.0], [1.0], [True]).error_at(radii)


def test_certificates_are_joined_in_order():
    parts = [certificate([1.0], [2.0], [False], np.ones((1, 3))), certificate([0.0], [0.0], [True], np.zeros((1, 3)))]
    whole = Certificate.joined(iter(parts))
    assert_array_equal(whole.lower, [1.0, 0.0])
    assert_array_equal(whole.exact, [False, True])
    assert_array_equal(whole.perturbation, [[1.0] * 3, [0.0] * 3])
    assert Certificate.joined([parts[0], certificate([1.0], [np.inf], [False])]).perturbation is None
