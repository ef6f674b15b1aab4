"""The matrix of eq. (2.26) by hand."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from trustworthy.attacks import FGSM, PGD, transfer_affinity
from trustworthy.core.errors import InvalidInput

X = torch.tensor([[0.55, 0.9], [0.6, 0.9], [0.9, 0.55], [0.9, 0.9]], dtype=torch.float64)
Y = torch.zeros(4, dtype=torch.int64)


def looks_at(i, cut=0.5):
    return lambda z: torch.stack([z[:, i] - cut, 0 * z[:, i]], 1)


def robust(z):
    return torch.stack([1 + 0.01 * z[:, 0], 0 * z[:, 0]], 1)


def test_models_that_look_at_different_features_share_nothing():
    """FGSM on the first moves its feature by 0.2 and breaks two of four there; the second loses one to its own."""
    result = transfer_affinity({"first": looks_at(0), "second": looks_at(1), "robust": robust}, FGSM(eps=0.2), X, Y)
    assert result.names == ("first", "second", "robust")
    assert_allclose(result.clean, 1.0)
    assert_allclose(result.attacked, [[0.5, 1, 1], [1, 0.75, 1], [0.5, 1, 1]])
    assert_allclose(result.affinity, [[1, 0, np.nan], [0, 1, np.nan], [1, 0, np.nan]])


def test_affinity_is_not_symmetric_and_may_exceed_one():
    """The second model's own examples break only part of what the first model's break."""
    both = lambda z: torch.stack([z.sum(1) - 1.2, 0 * z[:, 0]], 1)  # noqa: E731
    result = transfer_affinity([looks_at(0), both], FGSM(eps=0.2), X, Y)
    assert result.names == ("0", "1")
    assert result.affinity[0, 1] != result.affinity[1, 0]
    expected = (result.clean[None] - result.attacked) / (result.clean - result.attacked.diagonal())[None]
    assert_allclose(result.affinity, expected)


def test_models_of_different_accuracy_by_hand():
    """Clean accuracies 1 and 2/3: each loss is counted from the accuracy of the model that is fooled."""
    weak = looks_at(1, cut=0.75)
    result = transfer_affinity([looks_at(0), weak], FGSM(eps=0.2), X[1:], Y[1:])
    assert_allclose(result.clean, [1.0, 2 / 3])
    assert_allclose(result.attacked, [[2 / 3, 2 / 3], [1.0, 0.0]])
    assert_allclose(result.affinity, [[1.0, 0.0], [0.0, 1.0]])


def test_batches_make_no_difference_and_models_are_left_as_they_were():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2)).double().train()
    statistics = net[1].running_mean.clone()
    stream = torch.get_rng_state()
    whole, parts = (
        transfer_affinity(
            [net, looks_at(0)],
            PGD(eps=0.2, random_start=False),
            X,
            Y,
            generator=torch.Generator().manual_seed(0),
            batch_size=size,
        )
        for size in (4, 1)
    )
    assert_allclose(whole.attacked, parts.attacked)
    assert net.training
    assert torch.equal(net[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), stream)


def test_refuses_no_models():
    with pytest.raises(InvalidInput, match="models must hold"):
        transfer_affinity([], FGSM(eps=0.1), X, Y)
