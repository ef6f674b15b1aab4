"""Groups, the order of scores, and the frame of every explanation."""

import numpy as np
import pytest
import torch
from torch import nn

from trustworthy import explain
from trustworthy.core.errors import InvalidInput
from trustworthy.explain import Cover, Gradient, LeaveOneOut, Partition, as_groups
from trustworthy.explain.attribution import ordered

IMAGES = torch.linspace(0.1, 0.9, 2 * 3 * 4 * 6).reshape(2, 3, 4, 6)


def linear(d: int = 5, classes: int = 3) -> nn.Linear:
    model = nn.Linear(d, classes).double()
    with torch.no_grad():
        model.weight.copy_(torch.arange(classes * d).reshape(classes, d).sin())
    return model


@pytest.mark.parametrize(
    ("groups", "count"), [(None, 24), ("pixel", 24), ("channel", 3), ("patch:4", 2), ("coordinate", 72)]
)
def test_groups_of_images(groups, count):
    found = as_groups(groups, IMAGES)
    assert found.count == count
    every = torch.ones(2, 1, count, dtype=torch.bool)
    assert found.free(every).all()
    one = torch.zeros(2, count, dtype=torch.bool)
    one[:, 1] = True
    mask = found.free(one).expand(IMAGES.shape)
    torch.testing.assert_close(found.summed(IMAGES)[:, 1], (IMAGES * mask).flatten(1).sum(1))
    assert ((found.spread(one.float()) > 0) == mask).all()


def test_overlapping_masks_and_columns():
    x = torch.rand(3, 4)
    cover = as_groups([[0, 1], [1, 2, 3]], x)
    assert isinstance(cover, Cover)
    chosen = torch.tensor([[[True, False], [False, True]]]).expand(3, -1, -1)
    free = cover.free(chosen)
    assert free[0].tolist() == [[True, True, False, False], [False, True, True, True]]
    torch.testing.assert_close(cover.summed(x)[:, 1], x[:, 1:].sum(1))
    apart = as_groups([torch.tensor([True, False, True, False]), torch.tensor([False, True, False, True])], x)
    assert isinstance(apart, Partition)
    assert apart.labels.tolist() == [[0, 1, 0, 1]]


def test_padding_belongs_to_no_word():
    x = torch.ones(2, 4, 3)
    x[1, 2:] = 0
    words = as_groups(None, x)
    assert words.present.tolist() == [[True] * 4, [True, True, False, False]]
    attribution = explain.RandomOrder()(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), x, groups="word")
    assert attribution.scores.isnan().tolist() == (~words.present).tolist()
    assert set(attribution.order[1, 2:].tolist()) == {2, 3}
    assert attribution.top(0.5).sum(1).tolist() == [2, 1]
    assert set(attribution.reversed().order[1, 2:].tolist()) == {2, 3}


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (torch.full((4, 6), -1), "24 of 72|72 of 72"),
        (torch.zeros(3, 3, dtype=torch.int64), "leading axis"),
        ([torch.ones(3, 4, 6, dtype=torch.bool)[:2]], "shape"),
        ("word", "do not fit"),
        ("superpixel", "unknown groups"),
        ("patch", "side"),
        (torch.zeros(4, 6), "integers"),
    ],
    ids=["uncovered", "shape", "mask", "word", "name", "side", "floats"],
)
def test_wrong_groups(groups, says):
    with pytest.raises(InvalidInput, match=says):
        as_groups(groups, IMAGES)


def test_superpixels_cover_every_image():
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    found = explain.superpixels(images, count=6)
    assert (found.labels >= 0).all()
    assert found.present.any(1).all()


def test_order_is_by_score_and_ties_are_not_by_place():
    scores = torch.tensor([[1.0, 3.0, 2.0, torch.nan]])
    assert ordered(scores).tolist() == [[1, 2, 0, 3]]
    alike = ordered(torch.zeros(1, 100))[0]
    assert alike.sort().values.tolist() == list(range(100))
    assert alike[:50].float().mean() > 30


def test_gradient_and_leave_one_out_of_a_linear_model():
    model, x = linear(), torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    weight = model.weight.detach()
    gradient = Gradient()(model, x)
    torch.testing.assert_close(gradient.scores, weight[y].abs())
    assert gradient.calls.tolist() == [2] * 4  # the prediction, and its gradient
    target = (y + 1) % 3
    out = LeaveOneOut(baseline=0.25)(model, x, y, target=target)
    torch.testing.assert_close(out.scores, (weight[y] - weight[target]) * (x - 0.25))
    assert out.order.tolist() == out.scores.abs().argsort(1, descending=True).tolist()
    grouped = LeaveOneOut()(model, x, groups=[[0, 1, 2], [3, 4]])
    torch.testing.assert_close(grouped.scores[:, 0], (weight[y] * x)[:, :3].sum(1))


def test_a_model_on_arrays_is_asked_as_it_speaks():
    weight = np.arange(10.0).reshape(2, 5)
    out = LeaveOneOut()(lambda rows: rows @ weight.T, np.ones((2, 5)))
    np.testing.assert_allclose(out.scores.numpy(), np.tile(weight[1], (2, 1)))


def test_a_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5)).train()
    x = torch.rand(2, 5)
    before = torch.get_rng_state()
    first = LeaveOneOut()(model, x, generator=torch.Generator().manual_seed(0))
    assert model[1].training
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.scores, LeaveOneOut()(model, x).scores)


def test_a_target_must_be_another_class():
    x = torch.rand(2, 5, dtype=torch.float64)
    y = int(linear()(x).argmax(1)[0])
    with pytest.raises(InvalidInput, match="another class"):
        LeaveOneOut()(linear(), x, target=y)
