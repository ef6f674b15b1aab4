"""Own units in, own units out, with the statistics of the training set."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput, ModelContractError, TrustworthyWarning
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import members_of
from trustworthy.models import load_model
from trustworthy.models.posterior_folder import Recipe, save_posterior
from trustworthy.nn import Ensemble, Translator, UNet, to_type
from trustworthy.training import Gaussian, fit

RNG = np.random.default_rng(0)
SOURCE = RNG.integers(0, 4000, (5, 2, 300, 4), dtype=np.uint16)  # more rows than are read in one go
TARGET = (1000 + 50 * RNG.normal(size=(5, 1, 300, 4))).astype(np.float32)


class First(nn.Module):
    """The first channel, or the first and a log standard deviation."""

    def __init__(self, log_std=None):
        super().__init__()
        self.log_std = log_std

    def forward(self, x):
        first = x[:, :1]
        return first if self.log_std is None else torch.cat((first, torch.full_like(first, self.log_std)), 1)


def test_the_statistics_are_those_of_all_pixels_of_a_channel():
    translator = Translator.of(First(), SOURCE, list(TARGET))
    np.testing.assert_allclose(translator.source.mean, SOURCE.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(translator.source.std, SOURCE.astype(float).std((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(translator.target.std, TARGET.astype(float).std((0, 2, 3)), rtol=1e-6)


def test_images_of_several_sizes_count_by_their_pixels():
    small, large = np.zeros((1, 1, 1)), np.full((1, 1, 3), 4)
    translator = Translator.of(First(), [small, large], [small, large])
    assert (float(translator.source.mean), float(translator.source.std)) == (3.0, pytest.approx(3**0.5))


def test_a_network_that_copies_answers_in_units_of_the_target():
    translator, x = Translator.of(First(), SOURCE, TARGET), torch.from_numpy(SOURCE)
    mean, std = SOURCE[:, :1].mean(), SOURCE[:, :1].std()
    expected = (SOURCE[:, :1] - mean) / std * TARGET.std() + TARGET.mean()
    np.testing.assert_allclose(translator(x), expected, rtol=1e-5)
    x, y = translator.normalised(SOURCE, TARGET)
    assert x.dtype == torch.float32
    for part in (x, y):
        torch.testing.assert_close(part.mean((0, 2, 3)), torch.zeros(part.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(part.std((0, 2, 3), correction=0), torch.ones(part.shape[1]), atol=1e-5, rtol=0)


def test_logs_of_standard_deviations_come_to_units_of_the_target_too():
    answer = Translator.of(First(log_std=0.5), SOURCE, TARGET)(torch.from_numpy(SOURCE))
    assert answer.shape == (5, 2, 300, 4)
    np.testing.assert_allclose(answer[:, 1].exp(), np.exp(0.5) * TARGET.std(), rtol=1e-5)


def test_an_ensemble_of_networks_is_an_ensemble_in_units_of_the_target(tmp_path):
    torch.manual_seed(0)
    options, x = {"in_channels": 2, "width": 2, "depth": 2}, torch.from_numpy(SOURCE[:1])
    networks = [UNet(**options), UNet(**options)]
    translator = Translator.of(Ensemble(networks), SOURCE, TARGET).eval()
    members = predict(translator, x).members
    assert members_of(translator) == len(members) == 2
    assert members_of(translator.around(networks[0])) is None
    for member, network in zip(members, networks, strict=True):
        assert torch.equal(member, translator.around(network)(x))

    steps = (("ensemble", {"members": 2}), ("translate", {"source_channels": 2}))
    save_posterior(translator, tmp_path, Recipe("trustworthy.nn:UNet", options, steps))
    loaded = load_model(tmp_path).model
    assert torch.equal(predict(loaded, x).members, members)
    assert torch.equal(loaded.seen, translator.seen)


def test_a_network_trained_on_normalised_pairs_answers_in_units_of_the_target():
    """target = 1000 + 50 source, where statistics of the source in the place of the target's would give source."""
    torch.manual_seed(0)
    source = RNG.normal(3, 2, (64, 1, 4, 4)).astype(np.float32)
    translator = Translator.of(nn.Conv2d(1, 1, 1), source, 1000 + 50 * source)
    pairs = translator.normalised(source, 1000 + 50 * source)
    optimizer = partial(torch.optim.SGD, lr=0.5)  # halves the error of a linear network of normalised pairs
    fit(translator.net, pairs, loss=Gaussian(average=True), epochs=12, batch_size=64, optimizer=optimizer)
    answer = translator(torch.tensor([-4.0, 10.0]).reshape(1, 1, 1, 2)).flatten()  # beyond what it was trained on
    assert answer.tolist() == pytest.approx([800, 1500], rel=0.001)


def test_a_constant_channel_is_told_and_shifted_to_zero():
    source = SOURCE.copy()
    source[:, 1] = 7
    with pytest.warns(TrustworthyWarning, match="channel 1 of source is 7 in every pixel of every image"):
        translator = Translator.of(First(), source, TARGET)
    assert bool((translator.normalised(source, TARGET)[0][:, 1] == 0).all())
    assert float(translator.source.std[1]) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda image: image + 3000,
            [r"channel 0: its mean is \d+, those of the training images lie from \d+ to \d+;"],
        ),
        (lambda image: 2000 + (image - 2000) / 2, ["channel 0: its spread is 5"]),
        (lambda image: 2000 + (image - 2000) * 2, ["channel 0: its spread is 2"]),
        (
            lambda image: np.minimum(image, 3700),
            ["channel 0: 8% of its pixels have its highest value, .* at most 0.2%"],
        ),
        (lambda image: image / 0, ["channel 0: it has values that are NaN or infinite"]),
        (lambda image: image, []),
    ],
)
def test_an_image_unlike_the_training_images_is_told_by_channel(change, said):
    translator = Translator.of(First(), SOURCE, TARGET)
    other = RNG.integers(0, 4000, (1, 2, 300, 4)).astype(float)
    with np.errstate(all="ignore"):
        other[:, 0] = change(other[:, 0])
    found = translator.unlike(other)
    assert len(found) == len(said)
    for sentence, pattern in zip(found, said, strict=True):
        assert re.match(f"image 0, {pattern}", sentence), sentence


def test_nothing_is_told_where_the_training_images_are_unknown():
    translator = Translator(First(), [0.0], [1.0], [0.0], [1.0])
    assert translator.unlike(np.full((1, 1, 8, 8), 1e6)) == []


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, [0, 0, 2, 2, 255, 255]),
        (np.uint16, [0, 0, 2, 2, 255, 65535]),
        (np.int16, [-3, 0, 2, 2, 255, 32767]),
        (np.float32, [-3, 0.4, 1.6, 2.499, 255, 70000]),
    ],
)
def test_numbers_are_rounded_and_clipped_to_a_type(dtype, expected):
    given = torch.tensor([-3, 0.4, 1.6, 2.499, 255, 70000])
    found = to_type(given, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Translator.of(First(), [], []), InvalidInput, "source must hold at least one image"),
        (lambda: Translator.of(First(), SOURCE, TARGET[:4]), InvalidInput, "must be pairs, got 5 and 4 images"),
        (
            lambda: Translator.of(First(), list(SOURCE), [*TARGET[:4], TARGET[4, :, :9]]),
            InvalidInput,
            r"one size, got \(300, 4\) and \(9, 4\) for pair 4",
        ),
        (lambda: Translator.of(First(), SOURCE[:, 0], TARGET), InvalidInput, r"image 0 of source .* image\[None\]"),
        (
            lambda: Translator.of(First(), [SOURCE[0], SOURCE[0, :1]], TARGET),
            InvalidInput,
            "with 2 channels as the first",
        ),
        (lambda: Translator.of(First(), SOURCE, TARGET * np.nan), InvalidInput, "image 0 of target must be finite"),
        (
            lambda: Translator.of(First(), SOURCE, TARGET)(torch.rand(1, 3, 4, 4)),
            InvalidInput,
            "x must have 2 channels",
        ),
        (
            lambda: Translator.of(nn.Conv2d(2, 3, 1), SOURCE, TARGET)(torch.rand(1, 2, 4, 4)),
            ModelContractError,
            "net must give 1 channels, .* got 3; build it with out_channels=1",
        ),
        (
            lambda: Translator.of(First(), SOURCE, TARGET).normalised([SOURCE[0], SOURCE[1, :, :9]], TARGET[:2]),
            InvalidInput,
            "source must be images of one size",
        ),
        (lambda: Translator.of(First(), SOURCE, TARGET).unlike(TARGET), InvalidInput, "must have 2 channels, got 1"),
        (lambda: to_type(torch.zeros(1), np.int64), InvalidInput, "dtype must be floating or a whole number of 8, 16"),
        (lambda: to_type(torch.tensor([torch.nan]), np.uint8), InvalidInput, "got NaN"),
    ],
)
def test_what_cannot_be_translated_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
