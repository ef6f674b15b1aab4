"""Variational inference and Adv-BNN: the objective term by term, in closed form where there is one."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.attacks import PGD
from trustworthy.core.errors import InvalidInput, ModelContractError, TrustworthyWarning
from trustworthy.core.predictive import Predictive
from trustworthy.defenses import AdversarialBayes
from trustworthy.defenses.adversarial_bayes import Attacked
from trustworthy.nn.bayesian import collapsed, kl, to_bayesian
from trustworthy.training import Categorical, Gaussian, Moment, OfModel, fit
from trustworthy.uncertainty import SVI
from trustworthy.uncertainty.variational import EvidenceLoss

X = torch.rand(24, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0.5).long() + (X[:, 1] > 0.5).long()
NUMBERS = 2 * X[:, 0] - X[:, 1]


def network(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, outputs))


def moment(step=0, steps=10, rows=24):
    return Moment(step, steps, 0, rows, torch.Generator().manual_seed(0))


def numbers(defended):
    return [(record.loss, record.metrics) for record in defended.history.records]


def test_at_radius_zero_it_is_plain_variational_inference():
    settings = {"epochs": 2, "alpha": 0.3, "warmup": 0.5, "batch_size": 12, "draws": 2}
    plain = SVI(**settings)(network(), (X, Y), validation=(X, Y))
    adversarial = AdversarialBayes(eps=0.0, **settings)(network(), (X, Y), validation=(X, Y))
    assert numbers(plain) == numbers(adversarial)
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, adversarial.model.state_dict()[name]), name
    further = AdversarialBayes(eps=0.1, steps=1, **settings)(network(), (X, Y), validation=(X, Y))
    assert numbers(further) != numbers(plain)


@pytest.mark.parametrize("batch_size", [5, 8, 24])
def test_an_epoch_counts_the_kl_once_whatever_the_batch_size(batch_size):
    """With weights that stand still, the loss of an epoch is the data term and alpha times the KL per row."""

    class Silent(Categorical):
        def nats(self, outputs, y):
            return 0.0 * outputs.sum(1)

    model = to_bayesian(network())
    stand = {"optimizer": lambda weights: torch.optim.SGD(weights, lr=0.0), "epochs": 1}
    loss = EvidenceLoss(likelihood=Silent(), alpha=0.5)
    history = fit(model, (X, Y), loss=loss, batch_size=batch_size, **stand)
    assert history.records[0].loss == pytest.approx(0.5 * kl(model).item() / 24, rel=1e-5)


def test_the_kl_is_faded_in_over_a_share_of_the_run():
    loss = EvidenceLoss(warmup=0.4)
    assert [loss.warm(step, 10) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert EvidenceLoss().warm(0, 10) == 1.0
    model = to_bayesian(network(), init_std=1e-6)
    early, late = (loss(model, (X, Y), moment(step)) for step in (0, 9))
    assert (late - early).item() == pytest.approx(0.75 * kl(model).item() / 24, rel=1e-4)


def test_the_attack_maximises_the_squared_error_of_a_regression():
    model = to_bayesian(nn.Linear(5, 1).double(), init_std=1e-9)
    attack, likelihood = PGD(eps=0.1, bounds=None, steps=5, random_start=False), Gaussian(std=0.5)
    x, y = X.double(), NUMBERS.double()
    clean = EvidenceLoss(likelihood=likelihood, alpha=1e-9)
    error = (model(x).squeeze(1) - y).abs().detach()
    worst = error + 0.1 * model.weight_mean.abs().sum().item()
    expected = (0.5 * (worst / 0.5).square() + math.log(0.5) + 0.5 * math.log(2 * math.pi)).mean()
    loss = replace(clean, change=Attacked(attack=attack, likelihood=likelihood))
    assert_close(loss(model, (x, y), moment()), expected.float().double(), rtol=1e-5, atol=0)


def test_the_examples_of_training_are_the_last_of_the_search_not_those_that_one_draw_liked():
    """A linear model behind noise: each step goes one way, so the last point is a corner of the ball."""

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = to_bayesian(nn.Linear(5, 2).double(), init_std=1e-9)

        def forward(self, x):
            self.seen = x
            return self.linear(x) + 3 * torch.randn(len(x), 2)

    model, x = Noisy(), X.double()
    attack = PGD(eps=0.1, bounds=None, steps=4, step_size=0.025, random_start=False)
    EvidenceLoss(change=Attacked(attack=attack, likelihood=Categorical()))(model, (x, Y.clamp_max(1)), moment())
    assert_close((model.seen - x).abs(), torch.full_like(x, 0.1))


def test_outputs_that_do_not_fit_the_targets_are_refused_wherever_they_meet():
    """Of a torch Dataset they first do in training, where (3, 2) and (3, 1) would be broadcast."""
    for function in (Gaussian().nats, Gaussian().squared_error):
        with pytest.raises(ModelContractError, match=r"must return numbers of shape \(3, 1\) .* got shape \(3, 2\)"):
            function(torch.zeros(3, 2), torch.zeros(3))


def test_gaussian_nats_are_those_of_the_normal_distribution():
    outputs, y = torch.randn(7, 4).double(), torch.randn(7, 2).double()
    learned = torch.distributions.Normal(outputs[:, :2], outputs[:, 2:].exp())
    assert_close(Gaussian(std=None).nats(outputs, y), -learned.log_prob(y).sum(1))
    fixed = torch.distributions.Normal(outputs[:, :2], 0.3)
    assert_close(Gaussian(std=0.3).nats(outputs[:, :2], y), -fixed.log_prob(y).sum(1))
    mixture = Predictive(torch.stack([outputs[:, :2], outputs[:, 2:]]))
    each = torch.stack([torch.distributions.Normal(m, 1.0).log_prob(y).sum(1).exp() for m in mixture.members])
    assert Gaussian().score(mixture, y) == pytest.approx(float(each.mean(0).log().mean()))


def test_a_guess_is_the_best_answer_that_does_not_look():
    assert Categorical().guess(torch.tensor([0, 0, 1, 3])) == pytest.approx(1.5 * math.log(2))
    y = torch.tensor([1.0, 2.0, 6.0]).double()
    for likelihood, log_std in ((Gaussian(std=2.0), None), (Gaussian(std=None), y.std(correction=0).log())):
        mean = y.mean().expand(3, 1)
        outputs = mean if log_std is None else torch.cat([mean, log_std.expand(3, 1)], 1)
        assert likelihood.guess(y) == pytest.approx(float(likelihood.nats(outputs, y).mean()))


def test_data_term_and_kl_are_told_apart_with_and_without_validation_rows():
    defense = SVI(epochs=2, alpha=0.1, init_std=0.1)
    for given in ({"validation": (X, Y)}, {}):
        defended = defense(network(), (X, Y), **given)
        last = defended.last.metrics
        assert last["kl"] == pytest.approx(kl(defended.model).item(), rel=1e-5) or given
        assert 0 < last["collapsed"] < 1
        assert last["collapsed"] == collapsed(defended.model) or given
        assert 0 < last["data_term"] < last["data_term_of_a_guess"] * 2
        assert ("accuracy" in last) == bool(given)
    assert defended.notes[0].startswith("no validation rows were given")


def test_a_collapsed_posterior_is_warned_of():
    defense = SVI(epochs=25, learning_rate=0.1, init_std=0.1, batch_size=24, draws=2)
    with pytest.warns(TrustworthyWarning, match=r"the posterior has collapsed: .* Lower alpha") as warned:
        defended = defense(network(), (X[:4].repeat(6, 1), torch.arange(24) % 3), validation=(X, Y))
    assert defended.notes == (str(warned[0].message),)


def test_a_regression_is_defended_and_chosen_by_its_likelihood():
    defense = AdversarialBayes(
        epochs=12, eps=0.01, steps=2, alpha=0.01, loss=Gaussian(std=0.3), init_std=0.01, learning_rate=0.05,
        batch_size=24, draws=2,
    )  # fmt: skip
    defended = defense(network(1), (X, NUMBERS), validation=(X, NUMBERS))
    assert list(defended.best.metrics)[-2:] == ["log_likelihood", "robust_log_likelihood"]
    assert defended.best.metrics["log_likelihood"] > -Gaussian(std=0.3).guess(NUMBERS) + 0.3
    scores = [record.metrics["robust_log_likelihood"] for record in defended.history.records]
    assert defended.best.metrics["robust_log_likelihood"] == max(scores)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, "alpha must be > 0"),
        ({"alpha": 1.5}, "alpha must be <= 1"),
        ({"prior_std": 0.0}, "prior_std must be > 0"),
        ({"init_std": -1.0}, "init_std must be > 0"),
        ({"warmup": 2.0}, "warmup must be <= 1"),
        ({"weight_decay": 1e-4}, "weight_decay must be 0 for Bayesian weights, got 0.0001"),
        ({"draws": 0}, "draws must be >= 1"),
        ({"eps": -0.1}, "eps must be >= 0"),
        ({"eot": 0}, "eot must be >= 1"),
        ({"steps": 0}, "steps must be >= 1"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InvalidInput, match=message):
        AdversarialBayes(**{"epochs": 1, "eps": 0.1, **settings})


@pytest.mark.parametrize(
    ("model", "data", "likelihood", "message"),
    [
        (network(2), (X, Y), Categorical(), r"y must lie in 0\.\.1 for 2 logits, got 2; give a model"),
        (network(), (X, NUMBERS), Categorical(), "y must hold classes .* that takes loss=Gaussian"),
        (network(1), (X, Y), Gaussian(), r"y must hold real numbers for loss=Gaussian\(\)"),
        (
            network(3),
            (X, NUMBERS),
            Gaussian(),
            r"must return numbers of shape \(1, 1\) .* got shape \(1, 3\)",
        ),
        (network(1), (X, NUMBERS), Gaussian(std=None), r"must return numbers of shape \(1, 2\)"),
        (network(), (X - 2, Y), Categorical(), "data x must lie in bounds"),
    ],
)
def test_data_that_do_not_fit_the_model_are_refused_before_any_training(model, data, likelihood, message, tmp_path):
    defense = AdversarialBayes(epochs=1, eps=0.1, loss=likelihood)
    with pytest.raises((InvalidInput, ModelContractError), match=message):
        defense(model, data, checkpoints=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_metrics_of_the_model_are_among_those_that_are_chosen_by():
    assert all(isinstance(metric, OfModel) for metric in SVI(epochs=1).metrics.values())
