"""Integrated and expected gradients, learned masks and counterfactuals where their answer is known."""

import pytest
import torch
from torch import nn

from trustworthy.attacks import BoundaryAttack, MinimumNorm
from trustworthy.core.errors import InvalidInput, NoGradient
from trustworthy.explain import BBMP, Counterfactual, ExpectedGradients, IntegratedGradients, Robustness
from trustworthy.explain.methods.bbmp import raggedness
from trustworthy.nn.ensemble import Ensemble

X = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Cubic(nn.Module):
    """Logits (sum of w x^3 + x_0 x_1, 0)."""

    weight = torch.tensor([1.0, -2.0, 3.0, 0.0], dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.pow(3) @ self.weight + x[:, 0] * x[:, 1]
        return torch.stack([value, torch.zeros_like(value)], dim=1)


def linear(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.default_generator.manual_seed(seed)
    return nn.Linear(4, classes).double()


@pytest.mark.parametrize("baseline", [0.0, 0.25, torch.tensor([0.1, 0.2, 0.0, 0.9], dtype=torch.float64)])
def test_integrated_gradients_of_a_cubic_are_exact_and_complete(baseline):
    y = torch.zeros(3, dtype=torch.int64)
    found = IntegratedGradients(steps=2, baseline=baseline)(Cubic(), X, y)
    start = torch.zeros_like(X) + baseline
    way = X - start
    cross = torch.zeros_like(X)
    cross[:, 0] = way[:, 0] * (X + start)[:, 1] / 2
    cross[:, 1] = way[:, 1] * (X + start)[:, 0] / 2
    torch.testing.assert_close(found.scores, (X.pow(3) - start.pow(3)) * Cubic.weight + cross)
    torch.testing.assert_close(found.scores.sum(1), (Cubic()(X) - Cubic()(start))[:, 0])
    assert found.calls.tolist() == [2] * 3


def test_integrated_gradients_of_a_network_are_complete():
    torch.default_generator.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    y = model(X).argmax(1)
    change = (model(X) - model(0 * X)).gather(1, y[:, None]).squeeze(1).detach()
    short = [
        float((IntegratedGradients(steps=n)(model, X, y).scores.sum(1) - change).abs().max()) for n in (8, 64, 512)
    ]
    assert short[2] < 1e-3 * float(change.abs().max())
    assert short[0] > short[2]


def test_padding_is_never_changed():
    """Words at the baseline are a word; where there is none, there is none."""
    seen = []

    def model(x: torch.Tensor) -> torch.Tensor:
        seen.append(bool((x[:, 2:] == 0).all()))
        return x.flatten(1) @ torch.linspace(-1, 1, 24, dtype=x.dtype).reshape(12, 2)

    x = torch.ones(1, 4, 3)
    x[:, 2:] = 0
    for method in (
        IntegratedGradients(steps=3, baseline=0.5),
        ExpectedGradients(samples=3, background=torch.rand(5, 4, 3)),
        BBMP(steps=2, baseline=0.5),
    ):
        method(model, x)
    assert all(seen)


def test_expected_gradients_are_the_mean_over_baselines_and_know_their_error():
    background = torch.rand(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = torch.zeros(3, dtype=torch.int64)
    exact = torch.stack([IntegratedGradients(steps=2, baseline=b)(Cubic(), X, y).scores for b in background]).mean(0)
    method = ExpectedGradients(samples=100, background=background)
    found = [method(Cubic(), X, y, generator=torch.Generator().manual_seed(seed)) for seed in range(60)]
    off = torch.stack([one.scores - exact for one in found])[..., :3]  # the last feature has no weight
    stated = torch.stack([one.error for one in found])[..., :3]
    assert 0.8 < (off / stated).square().mean() < 1.2
    assert ((off.mean(0) / stated.mean(0)).abs() < 4 / 60**0.5).all()
    constant = ExpectedGradients(baseline=0.5)(linear(), X, y)
    torch.testing.assert_close(constant.scores, linear().weight.detach()[0] * (X - 0.5))
    assert (constant.error < 1e-12).all()


def test_samples_in_parts_have_the_mean_and_the_error_of_all():
    """More samples than one pass takes, drawn once more here, after the seed of the model's own stream."""
    background, y = X[:2], torch.zeros(3, dtype=torch.int64)
    method = ExpectedGradients(samples=200, background=background)
    found = method(Cubic(), X, y, generator=torch.Generator().manual_seed(0))
    draw, samples = torch.Generator().manual_seed(0), []
    torch.randint(2**62, (1,), generator=draw)
    for count in (85, 85, 30):
        start = background[torch.randint(2, (count, 3), generator=draw)]
        share = torch.rand(count, 3, generator=draw, dtype=torch.float64)[..., None]
        point = (start + share * (X - start)).requires_grad_()
        (slope,) = torch.autograd.grad(Cubic()(point.flatten(0, 1))[:, 0].sum(), point)
        samples.append(slope * (X - start))
    torch.testing.assert_close(found.scores, torch.cat(samples).mean(0))
    torch.testing.assert_close(found.error, torch.cat(samples).std(0) / 200**0.5)


def test_the_gradient_of_an_ensemble_is_the_mean_of_its_members():
    members = [linear(seed) for seed in range(3)]
    y = torch.ones(3, dtype=torch.int64)
    found = IntegratedGradients(steps=3)(Ensemble(members), X, y)
    each = [IntegratedGradients(steps=3)(member, X, y).scores for member in members]
    torch.testing.assert_close(found.scores, torch.stack(each).mean(0))
    assert found.calls.tolist() == [9] * 3


def test_bbmp_deletes_what_the_prediction_rests_on():
    """Of a linear model, a feature goes whose share of the drop exceeds its share of the price."""

    def model(x: torch.Tensor) -> torch.Tensor:
        value = x @ torch.tensor([4.0, 3.0, 0.5, -1.0], dtype=x.dtype)
        return torch.stack([value, torch.zeros_like(value)], dim=1)

    x = torch.ones(1, 4, dtype=torch.float64)
    found = BBMP(steps=60)(model, x)
    assert (found.scores[0] > 0.95).tolist() == [True, True, False, False]
    assert (found.scores[0] < 0.05).tolist() == [False, False, True, True]
    assert (BBMP(steps=60, l1=20.0)(model, x).scores < 0.05).all()
    assert (BBMP(steps=60, l1=0.0)(model, x).scores[0, :3] > 0.95).all()


def test_bbmp_masks_of_images_are_smoother_with_a_price_and_may_blur():
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    x[..., 2:4, 2:4] = 1.0

    def model(x: torch.Tensor) -> torch.Tensor:
        value = (x.square().flatten(1)).sum(1)
        return torch.stack([value, torch.zeros_like(value)], dim=1)

    rough, smooth = (BBMP(steps=60, tv=tv, baseline="blur")(model, x).map() for tv in (0.0, 100.0))
    assert (rough[x > 0] > 0.9).all()
    assert raggedness(smooth) < raggedness(rough) / 2
    with pytest.raises(InvalidInput, match="blur"):
        BBMP(baseline="blur")(linear(), X)


def test_the_counterfactual_of_a_linear_model_is_its_nearest_boundary():
    model = linear(classes=2)
    logits = model(X).detach()
    y = logits.argmax(1)
    slope, offset = (part[1] - part[0] for part in (model.weight.detach(), model.bias.detach()))
    exact = slope.abs() * ((X @ slope + offset).abs() / slope.square().sum())[:, None]
    anywhere = Robustness(attack=MinimumNorm(bounds=None))
    found = Counterfactual(robustness=anywhere)(model, X, target=1 - y)
    torch.testing.assert_close(found.scores, exact, rtol=1e-3, atol=0)
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    by_labels = Counterfactual(robustness=Robustness(attack=BoundaryAttack(bounds=None, steps=60)))
    found = by_labels(
        lambda rows: (rows @ weight.T + bias).argmax(1), X.numpy(), generator=torch.Generator().manual_seed(0)
    )
    beyond = found.scores.norm(dim=1) / exact.norm(dim=1)
    assert ((beyond >= 1) & (beyond < 4)).all()
    with pytest.raises(InvalidInput, match="y must be the prediction"):
        Counterfactual()(model, X, 1 - y)


def test_a_model_without_gradients_is_told_what_works():
    with pytest.raises(NoGradient, match=r"IntegratedGradients needs gradients.*loo.*shap-exact"):
        IntegratedGradients()(lambda x: x.detach(), X)


def test_wrong_settings():
    with pytest.raises(InvalidInput, match="background must have the shape \\(m, 4\\), got"):
        ExpectedGradients(background=torch.rand(3, 5))(linear(), X)
    with pytest.raises(InvalidInput, match="samples"):
        ExpectedGradients(samples=1)
    with pytest.raises(InvalidInput, match="finite tensor"):
        IntegratedGradients(baseline=torch.zeros(5))(linear(), X)
