from __future__ import annotations

import numpy as np
import pytest
import torch

from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import accuracy


def test_counts_the_rows_whose_largest_score_is_the_label():
    assert accuracy([[0.1, 0.9], [3.0, -1.0], [0.2, 0.8], [1.0, 0.0]], [1, 0, 0, 1]) == 0.5


def test_the_first_of_equal_scores_is_the_prediction():
    assert accuracy([[1.0, 1.0], [1.0, 1.0]], [0, 1]) == 0.5


def test_takes_predicted_classes():
    assert accuracy([0, 1, 2, 2], [0, 1, 2, 0]) == 0.75


def test_takes_torch_tensors_and_infinite_scores():
    scores = torch.tensor([[0.0, torch.inf], [1.0, -torch.inf]])
    assert accuracy(scores, torch.tensor([1, 0])) == 1.0


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ([[0.0, np.nan]], [0], "predictions must not contain NaN, got 1 of 2"),
        (np.zeros((0, 3)), [], r"predictions must not be empty, got shape \(0, 3\)"),
        (np.zeros((2, 2, 2)), [0, 1], r"predictions must have shape \(n,\) or \(n, classes\), got \(2, 2, 2\)"),
        (np.zeros((2, 3)), [0], "one row per example each, got 2 for predictions, 1 for labels"),
        (np.zeros((2, 3)), [0, 3], r"labels must be class indices in 0\.\.2, got 0\.\.3"),
        (np.zeros((2, 3)), [0, -1], r"labels must be class indices in 0\.\.2, got -1\.\.0"),
        ([0, 1], [0, -1], r"labels must be class indices >= 0, got -1\.\.0"),
        (np.zeros((2, 3)), [0.0, 1.0], "labels must be class indices of an integer dtype, got float64; cast"),
        (np.zeros((2, 2)), np.eye(2), r"labels must have shape \(n,\), got \(2, 2\)"),
        (np.zeros((2, 2)), np.array(["a", "b"]), "labels must hold real numbers, got dtype <U1"),
        ([[1.0, 2.0], [3.0]], [0, 1], "predictions cannot be read as an array"),
        (torch.zeros(2, 2, requires_grad=True), [0, 1], "predictions cannot be read as an array"),
    ],
)
def test_refuses_what_it_cannot_judge(predictions, labels, message):
    with pytest.raises(InvalidInput, match=message):
        accuracy(predictions, labels)
