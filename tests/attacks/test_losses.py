"""Losses by hand."""

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks.losses import LOSSES, cross_entropy, difference_of_logits_ratio, margin
from trustworthy.core.errors import InvalidInput

LOGITS = torch.tensor([[3.0, 1.0, 0.0, -2.0], [0.5, 2.0, 1.0, 1.5]], dtype=torch.float64)
Y, TARGET = torch.tensor([0, 2]), torch.tensor([1, 3])


def test_margin_by_hand():
    assert_close(margin(LOGITS, Y), torch.tensor([-2.0, 1.0], dtype=torch.float64))
    assert_close(margin(LOGITS, Y, TARGET), torch.tensor([-2.0, -0.5], dtype=torch.float64))


def test_difference_of_logits_ratio_by_hand():
    assert_close(difference_of_logits_ratio(LOGITS, Y), torch.tensor([-2 / 3, 1.0], dtype=torch.float64))
    expected = torch.tensor([(1 - 3) / (3 - (0 - 2) / 2), (1.5 - 1) / (2 - (1 + 0.5) / 2)], dtype=torch.float64)
    assert_close(difference_of_logits_ratio(LOGITS, Y, TARGET), expected)


def test_cross_entropy_by_hand():
    log_p = LOGITS - LOGITS.exp().sum(1, keepdim=True).log()
    assert_close(cross_entropy(LOGITS, Y), -log_p[[0, 1], [0, 2]])
    assert_close(cross_entropy(LOGITS, Y, TARGET), log_p[[0, 1], [1, 3]])


def test_dlr_is_unmoved_by_shift_and_scale():
    assert_close(difference_of_logits_ratio(5 * LOGITS - 3, Y), difference_of_logits_ratio(LOGITS, Y))


def test_dlr_is_refused_for_two_classes_where_it_would_be_constant():
    with pytest.raises(InvalidInput, match="at least 3"):
        difference_of_logits_ratio(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))


@pytest.mark.parametrize(("loss", "classes"), [("margin", 2), ("margin", 5), ("dlr", 3), ("dlr", 5)])
def test_a_positive_loss_is_a_wrong_prediction(loss, classes):
    logits, y = torch.randn(200, classes), torch.randint(classes, (200,))
    assert torch.equal(LOSSES[loss](logits, y) > 0, logits.argmax(1) != y)
