"""Likelihoods of images, whose pixels are averaged."""

import math

import pytest
import torch

from trustworthy.core.predictive import Predictive
from trustworthy.training import Gaussian, Laplace


@pytest.mark.parametrize("loss", [Gaussian(average=True), Laplace(average=True)])
def test_the_score_of_images_is_of_the_mixture_in_each_pixel(loss):
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(3, 2, 16, 16, generator=generator).double()
    members = y + torch.randn(4, 3, 2, 16, 16, generator=generator).double()
    kind = torch.distributions.Normal if isinstance(loss, Gaussian) else torch.distributions.Laplace
    density = kind(members, loss.known).log_prob(y).exp().mean(0)
    assert loss.score(Predictive(members), y) == pytest.approx(float(density.log().mean()))
    alone = [loss.score(Predictive(member[None]), y) for member in members]
    assert alone == pytest.approx([-float(loss.nats(member, y).mean()) for member in members])
    assert loss.score(Predictive(members), y) > max(alone) + 0.02  # what the members gain together is seen


def test_a_guess_of_images_is_one_number_for_each_channel_however_few_they_are():
    y = torch.tensor([[0.0, 2.0], [10.0, 14.0]]).double().reshape(1, 2, 1, 2)  # one image of two channels
    assert Gaussian(std=None).guess(y) == pytest.approx(4 * (0.5 + 0.5 * math.log(2 * math.pi)) + 2 * math.log(2))
    assert Laplace(average=True).guess(y) == pytest.approx(1.5 + math.log(2))
    tall = y.reshape(1, 2, 2, 1).repeat(3, 1, 1, 1)
    assert Laplace(average=True).guess(tall) == pytest.approx(1.5 + math.log(2))
