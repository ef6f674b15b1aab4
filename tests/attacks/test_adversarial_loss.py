"""Training on the worst case."""

import torch
from torch.testing import assert_close

from trustworthy.attacks import PGD
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.training import Moment, cross_entropy


def test_adversarial_loss_is_the_worst_case_of_a_linear_model(generator):
    model = torch.nn.Linear(4, 2)
    x, y = torch.rand(6, 4), torch.tensor([0, 1, 0, 1, 1, 0])
    attack = PGD(eps=0.1, bounds=None, steps=3, step_size=0.2, random_start=False)
    away = (model.weight[1 - y] - model.weight[y]).sign().detach()
    moment = Moment(0, 1, 0, 6, generator)
    expected = cross_entropy(model, (x + 0.1 * away, y), moment)
    assert_close(AdversarialCrossEntropy(attack=attack)(model, (x, y), moment), expected)
