"""What the draws of a classifier hold for chance, and how far they disagree."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import entropy
from torch import nn
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import Predictive, predict, predict_in_chunks


@given(st.integers(1, 4), st.integers(2, 5), st.integers(0, 100))
def test_entropies_are_those_of_the_probabilities_and_their_mean(draws, classes, seed):
    logits = 5 * torch.randn(draws, 3, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    predictive, p = Predictive(logits), logits.softmax(-1).numpy()
    assert_allclose(predictive.entropy, entropy(p.mean(0), axis=1), atol=1e-12)
    assert_allclose(predictive.expected_entropy, entropy(p, axis=2).mean(0), atol=1e-12)
    assert_allclose(predictive.mutual_information, predictive.entropy - predictive.expected_entropy, atol=1e-12)
    assert (predictive.mutual_information >= 0).all()


def test_draws_that_are_sure_of_different_classes_disagree_by_all_that_is_unsure():
    sure = torch.tensor([[[0.0, -torch.inf]], [[-torch.inf, 0.0]]])
    predictive = Predictive(sure)
    assert_allclose(predictive.mutual_information, [np.log(2)], rtol=1e-6)
    assert predictive.expected_entropy.tolist() == [0.0]
    assert Predictive(torch.randn(1, 50, 7)).mutual_information.tolist() == [0.0] * 50


def members(*seeds, outputs=3):
    class Ensemble:
        def __init__(self):
            self.nets = nn.ModuleList()
            for seed in seeds:
                torch.default_generator.manual_seed(seed)
                self.nets.append(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, outputs)))

        def draws(self, count, generator=None):
            return (self.nets[i % len(self.nets)] for i in range(count))

        def modules(self):
            return self.nets.modules()

    return Ensemble()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint16, np.uint8])
def test_arrays_are_asked_as_tensors_in_the_precision_of_the_weights(dtype):
    model, x = members(0, 1), np.arange(12, dtype=dtype).reshape(3, 4)
    x.flags.writeable = False
    asked = lambda rows: predict(lambda batch: model.nets[0](batch.float()), rows).members  # noqa: E731
    assert torch.equal(asked(x[::-1]), asked(torch.arange(12.0).reshape(3, 4).flip(0)))
    if x.dtype.kind == "f":
        assert torch.equal(predict(model, x).members, predict(model, torch.arange(12.0).reshape(3, 4)).members)
        assert next(predict_in_chunks(model, x, chunk=2)).members.dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "rows"), [((300, 3, 32, 32), [256, 44]), ((5, 1, 2048, 1024), [2, 2, 1]), ((2, 3, 4096, 4096), [1, 1])]
)
def test_fewer_large_images_are_asked_about_at_once(shape, rows):
    asked = []
    predict(lambda x: [asked.append(len(x)), x[:, :1, 0, 0]][1], torch.zeros(1).expand(shape))
    assert asked == rows


@pytest.mark.parametrize("chunk", [1, 4, 7, 100])
def test_chunks_answer_as_the_whole(chunk):
    model, x = members(0, 1, 2), torch.randn(13, 4)
    parts = list(predict_in_chunks(model, x, chunk=chunk, draws=3))
    assert [part.members.shape[1] for part in parts][:-1] == [chunk] * (len(parts) - 1)
    assert_close(torch.cat([part.members for part in parts], 1), predict(model, x, draws=3).members)
    with pytest.raises(InvalidInput, match="chunk must be >= 1"):
        predict_in_chunks(model, x, chunk=0)
