"""Temperature scaling: the optimum of a convex problem, and a model whose classes stay as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import softmax
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.predictive import predict
from trustworthy.metrics import ece, nll
from trustworthy.nn.ensemble import Ensemble
from trustworthy.uncertainty.temperature import fit_temperature, tempered


def honest(n, classes=4, seed=0):
    """Logits whose softmax is the true distribution of the classes."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(n, classes))
    return logits, (softmax(logits, 1).cumsum(1) < random.random((n, 1))).sum(1)


@given(st.floats(1e-3, 1e3), st.integers(0, 5))
def test_the_temperature_undoes_a_factor_and_has_the_least_likelihood(factor, seed):
    logits, y = honest(200, seed=seed)
    best = fit_temperature(logits, y)
    assert_allclose(fit_temperature(factor * logits + 7.0, y), factor * best, rtol=1e-6)
    at = nll(softmax(logits / best, 1), y)
    assert at <= min(nll(softmax(logits / (best * by), 1), y) for by in (0.99, 1.01))


def test_an_overconfident_model_becomes_calibrated():
    logits, y = honest(4000)
    temperature = fit_temperature(torch.tensor(3 * logits[:2000]), y[:2000])
    assert_allclose(temperature, 3, rtol=0.1)
    held, truth = 3 * logits[2000:], y[2000:]
    assert ece(softmax(held / temperature, 1), truth) < 0.03 < 0.15 < ece(softmax(held, 1), truth)


@pytest.mark.parametrize(
    ("logits", "y", "said"),
    [
        (np.eye(3), [1, 1, 1], "only class 1"),
        ([[0.0, np.nan], [1.0, 0.0]], [0, 1], "must not contain NaN"),
        ([[0.0, np.inf], [1.0, 0.0]], [0, 1], "must be finite"),
        (np.ones((2, 3)), [0, 1], "rows of equal numbers"),
        (np.eye(2), [0, 2], "in 0..1"),
        (np.eye(2), [0, 1, 1], "one row per example"),
    ],
)
def test_refuses_what_tells_nothing(logits, y, said):
    with pytest.raises(InvalidInput, match=said):
        fit_temperature(logits, y)


@pytest.mark.parametrize(("y", "said"), [([0, 1], "largest logit is right"), ([1, 0], "tell nothing")])
def test_says_where_no_temperature_is_the_best(y, said):
    with pytest.warns(TrustworthyWarning, match=said):
        assert fit_temperature(np.eye(2), y) > 0


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def ensemble():
    return Ensemble(
        [nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 5)) for _ in range(3)]
    )


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_no_row_of_an_ensemble_changes_its_class(temperature):
    model, x = ensemble(), torch.randn(400, 4)
    plain, scaled = predict(model, x), predict(tempered(model, temperature), x)
    assert torch.equal(scaled.logits, plain.logits / temperature)
    # Members that are tempered alone outvote each other otherwise.
    alone = plain.members.div(temperature).softmax(-1).mean(0).argmax(1)
    assert alone.equal(plain.logits.argmax(1)) == (temperature == 1.0)


def test_a_tempered_model_is_a_posterior_that_draws_as_the_model_does(generator):
    model = nn.Sequential(nn.Linear(4, 8), Noise(), nn.Linear(8, 3))
    scaled, x = tempered(model, 2.0, draws=5), torch.randn(6, 4)
    assert set(model.modules()) <= set(scaled.modules())
    drawn = predict(scaled, x, draws=4, generator=generator).members
    assert drawn.std(0).min() > 0
    assert_close(drawn, predict(scaled, x, draws=4, generator=torch.Generator().manual_seed(0)).members)
    plain = predict(model, x, draws=4, generator=generator).members
    assert plain.std(0).mean() / 2 > 1.5 * drawn.std(0).mean()  # five draws each
    with pytest.raises(InvalidInput, match="temperature must be > 0"):
        tempered(model, 0)
