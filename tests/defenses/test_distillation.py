"""Defensive distillation."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.defenses import DefensiveDistillation
from trustworthy.defenses.distillation import Tempered
from trustworthy.training import Moment, cross_entropy

X = torch.rand(12, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3
MOMENT = Moment(0, 1, 0, 12, torch.Generator().manual_seed(0))


class Certain(nn.Module):
    """Knows the answers: its softmax is one-hot."""

    def forward(self, x):
        row = (x[:, None] == X[None]).all(2).float().argmax(1)
        return 1e4 * nn.functional.one_hot(Y[row], 3).float()


def test_a_certain_teacher_at_temperature_one_teaches_the_labels():
    model = nn.Linear(5, 3)
    expected = cross_entropy(model, (X, Y), MOMENT)
    assert_close(Tempered(teacher=Certain(), temperature=1.0)(model, (X, Y), MOMENT), expected)
    assert_close(Tempered(temperature=1.0)(model, (X, Y), MOMENT), expected)


def test_both_are_divided_by_the_temperature_and_the_mean_is_over_the_batch():
    teacher, model = nn.Linear(5, 3), nn.Linear(5, 3)
    loss = Tempered(teacher=teacher, temperature=7.0)
    soft = (teacher(X) / 7).softmax(1)
    expected = -(soft * (model(X) / 7).log_softmax(1)).sum(1).mean()
    assert_close(loss(model, (X, Y), MOMENT), expected)
    assert_close(loss(model, (X.repeat(3, 1), Y.repeat(3)), MOMENT), expected)
    loss(model, (X, Y), MOMENT).backward()
    assert teacher.weight.grad is None


def test_the_teacher_is_asked_in_evaluation_mode_and_left_as_it_was():
    teacher = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before = teacher[1].running_mean.clone()
    loss = Tempered(teacher=teacher, temperature=2.0)
    model = nn.Linear(5, 3)
    assert torch.equal(loss(model, (X, Y), MOMENT), loss(model, (X, Y), MOMENT))
    assert torch.equal(teacher[1].running_mean, before)
    assert teacher[2].training


def test_the_student_learns_from_a_teacher_that_was_trained_at_the_temperature(monkeypatch):
    losses = []
    fitted = DefensiveDistillation.fitted

    def noted(self, model, lesson, loss):
        losses.append(loss)
        return fitted(self, model, lesson, loss)

    monkeypatch.setattr(DefensiveDistillation, "fitted", noted)
    model = nn.Linear(5, 3)
    defended = DefensiveDistillation(epochs=2, temperature=3.0)(model, (X, Y))
    first, second = losses
    assert first == Tempered(temperature=3.0)
    assert second.temperature == 3.0
    assert not torch.equal(second.teacher.weight, model.weight)
    assert not torch.equal(second.teacher.weight, defended.model.weight)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(InvalidInput, match="temperature must be"):
        DefensiveDistillation(epochs=1, temperature=temperature)
