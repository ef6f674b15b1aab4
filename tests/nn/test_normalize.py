import pytest
import torch
from torch.testing import assert_close

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import Normalize


def test_each_channel_gets_its_own_affine_map(generator):
    x = torch.rand(4, 3, 5, 6, generator=generator)
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    expected = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    assert_close(Normalize(mean, std)(x), expected)


def test_the_features_of_a_table_are_its_channels(generator):
    x = torch.rand(7, 2, generator=generator)
    expected = torch.stack([(x[:, 0] - 1.0) / 4.0, (x[:, 1] - 2.0) / 4.0], dim=1)
    assert_close(Normalize((1.0, 2.0), 4.0)(x), expected)


def test_one_number_serves_any_number_of_channels(generator):
    x = torch.rand(2, 5, 3, 3, generator=generator)
    assert_close(Normalize(0.5, 0.25)(x), (x - 0.5) * 4)


def test_mean_and_std_are_saved_but_not_trained():
    layer = Normalize([0.1, 0.2], [1.0, 2.0])
    assert set(layer.state_dict()) == {"mean", "std"}
    assert list(layer.parameters()) == []


def test_gradient_reaches_the_input_divided_by_std():
    x = torch.zeros(1, 2, 1, 1, requires_grad=True)
    Normalize(0.0, torch.tensor([2.0, 4.0]))(x).sum().backward()
    assert_close(x.grad, torch.tensor([0.5, 0.25]).reshape(1, 2, 1, 1))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0.0, 0.0, "std must be > 0"),
        ([0.0, 0.0], [1.0, -1.0], "std must be > 0"),
        (float("nan"), 1.0, "mean must be finite"),
        ([0.0, 0.0], [1.0, 1.0, 1.0], "got 2 and 3"),
        ([], 1.0, "got none"),
    ],
)
def test_constants_that_cannot_normalise_are_refused(mean, std, message):
    with pytest.raises(InvalidInput, match=message):
        Normalize(mean, std)


def test_an_input_with_other_channels_is_refused_though_it_would_broadcast():
    with pytest.raises(InvalidInput, match="x must have 3 channels"):
        Normalize([0.1, 0.2, 0.3], 1.0)(torch.zeros(2, 1, 4, 4))


def test_repr_shows_the_constants():
    assert repr(Normalize(0.5, [1.0, 2.0])) == "Normalize(mean=[0.5], std=[1.0, 2.0])"
