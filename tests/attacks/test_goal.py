"""What counts as success, and what is maximised."""

import pytest
import torch

from trustworthy.attacks import FGSM, BoundaryAttack, CarliniWagner
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.losses import margin
from trustworthy.core.errors import InvalidInput, UnknownName

LOGITS = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0], [1.0, 4.0, 2.0]])
Y, TARGET = torch.tensor([0, 1, 1]), torch.tensor([1, 2, 0])


def test_leaves_a_class_or_reaches_another():
    assert Goal(Y).reached(LOGITS).tolist() == [False, True, False]
    assert Goal(Y, TARGET).reached(LOGITS).tolist() == [False, True, False]
    assert Goal(TARGET, Y).reached(LOGITS).tolist() == [True, False, True]
    assert Goal(Y, loss=margin).losses(LOGITS).tolist() == [-2.0, 3.0, -2.0]
    assert Goal(Y, TARGET, margin).losses(LOGITS).tolist() == [-2.0, 3.0, -3.0]


@pytest.mark.parametrize("target", [None, TARGET])
def test_a_part_asks_the_same_of_its_examples(target):
    whole, rows = Goal(Y, target), torch.tensor([2, 0])
    part = whole.subset(rows)
    assert torch.equal(part.losses(LOGITS[rows]), whole.losses(LOGITS)[rows])
    assert torch.equal(part.reached(LOGITS[rows]), whole.reached(LOGITS)[rows])


def test_checks_the_first_answer_against_its_classes():
    assert Goal(Y, TARGET).check(LOGITS) is LOGITS
    with pytest.raises(InvalidInput, match=r"y must lie in 0\.\.1"):
        Goal(TARGET).check(LOGITS[:, :2])
    with pytest.raises(InvalidInput, match=r"target must lie in 0\.\.1"):
        Goal(Y, TARGET).check(LOGITS[:, :2])


def test_only_an_attack_that_can_choose_a_loss_takes_and_names_one():
    assert "loss='dlr'" in repr(FGSM(eps=0.1, loss="dlr"))
    for kind in (CarliniWagner, BoundaryAttack):
        assert "loss" not in repr(kind())
        with pytest.raises(TypeError, match="loss"):
            kind(loss="ce")
    with pytest.raises(UnknownName, match="loss 'cd'; did you mean 'ce'"):
        FGSM(eps=0.1, loss="cd")


def test_a_posterior_draws_from_the_stream_of_the_attack():
    heard = []

    class Coin:
        def draws(self, count, generator=None):
            heard.append(generator)
            return [lambda z: LOGITS[: len(z)] + 0 * z.sum() for _ in range(count)]

        def modules(self):
            return []

    stream = torch.Generator()
    FGSM(eps=0.1, eot=2)(Coin(), torch.rand(3, 2), Y, generator=stream)
    assert heard
    assert all(generator is stream for generator in heard)
