"""The parts of what a posterior does not know: closed forms, and a bound on what is held at once."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trustworthy.core.predictive import Predictive, predict
from trustworthy.nn.ensemble import Ensemble
from trustworthy.training.likelihoods import Categorical, Gaussian, Laplace
from trustworthy.uncertainty.parts import decompose, predict_parts


def test_the_parts_of_numbers_are_the_variance_of_a_mixture():
    members = torch.randn(5, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = decompose(Predictive(members), Gaussian(std=None))
    mean, log_std = members.chunk(2, 2)
    samples = mean + log_std.exp() * torch.randn(20_000, 1, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    assert_close(parts.mean, mean.mean(0))
    assert_close(parts.epistemic, mean.var(0, correction=0))
    assert_close(parts.aleatoric, (2 * log_std).exp().mean(0))
    assert_allclose(parts.total, samples.flatten(0, 1).var(0), rtol=0.06)


def test_a_likelihood_of_given_size_says_what_is_left_to_chance():
    members = torch.ones(3, 2, 1)
    for loss, variance in ((Gaussian(std=3.0), 9.0), (Laplace(scale=2.0), 8.0)):
        parts = decompose(Predictive(members), loss)
        assert_allclose(parts.aleatoric, np.full((2, 1), variance), rtol=1e-6)
        assert_allclose(parts.total, parts.aleatoric)


def test_the_parts_of_classes_are_entropies():
    given = Predictive(torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)))
    parts = decompose(given, Categorical())
    assert_close(parts.mean, given.probabilities)
    for name, expected in (
        ("total", "entropy"),
        ("aleatoric", "expected_entropy"),
        ("epistemic", "mutual_information"),
    ):
        assert_close(getattr(parts, name), getattr(given, expected))


def ensemble(outputs):
    layers = ([nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, outputs)] for _ in range(4))
    return Ensemble([nn.Sequential(*each) for each in layers])


@pytest.mark.parametrize(("outputs", "loss"), [(3, Categorical()), (2, Gaussian(std=None))])
def test_chunks_give_the_parts_of_the_whole(outputs, loss):
    model, x = ensemble(outputs), torch.randn(13, 4)
    whole, chunked = decompose(predict(model, x), loss), predict_parts(model, x, loss, chunk=4)
    for name in ("mean", "epistemic", "aleatoric", "total"):
        assert_close(getattr(chunked, name), getattr(whole, name))


class Held(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, at their most."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.alive[StorageWeakRef(storage)] = storage.nbytes()
        self.alive = {held: size for held, size in self.alive.items() if not held.expired()}
        self.most = max(self.most, sum(self.alive.values()))
        return out


def test_of_three_thousand_classes_the_draws_of_one_chunk_are_held():
    members, rows, classes, chunk = 4, 120, 3000, 8
    model, x = Ensemble([nn.Linear(2, classes) for _ in range(members)]), torch.randn(rows, 2)
    with Held() as in_chunks:
        parts = predict_parts(model, x, Categorical(), chunk=chunk)
    with Held() as whole:
        decompose(predict(model, x), Categorical())
    result, draws = 4 * rows * classes, 4 * chunk * classes * members
    assert parts.mean.shape == (rows, classes)
    assert in_chunks.most < 2.1 * result + 4 * draws  # the parts, the parts joined, and one chunk at work
    assert whole.most > 2 * members * result
