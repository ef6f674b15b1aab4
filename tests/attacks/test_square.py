"""The Square Attack: closed forms on linear models, images and tables, and its windows."""

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import SquareAttack
from trustworthy.attacks.losses import margin
from trustworthy.attacks.square_windows import Features, Image, layout_of, opposite_bumps
from trustworthy.core.errors import InvalidInput

CPU, DOUBLE = torch.device("cpu"), torch.float64


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def stubborn(weight):
    """A linear model that no small perturbation can break, so that the search goes on to the end."""

    def model(z):
        return torch.stack([100.0 + 0 * z.flatten(1).sum(1), (z * weight).flatten(1).sum(1)], 1)

    return model


@pytest.mark.parametrize("shape", [(16,), (2, 6, 6)], ids=str)
def test_finds_all_that_a_linear_model_can_lose_in_linf(shape):
    """eps times the l1 norm of the weights, with scores alone."""
    weight = torch.randn(shape, dtype=DOUBLE)
    model, x, y = stubborn(weight), torch.full((2, *shape), 0.5, dtype=DOUBLE), torch.tensor([0, 0])
    result = SquareAttack(eps=0.1, steps=500)(model, x, y, generator=seeded())
    gained = margin(model(result.adversarial), y) - margin(model(x), y)
    assert_close(gained, (0.1 * weight.abs().sum()).expand(2))


@pytest.mark.parametrize("shape", [(16,), (2, 6, 6)], ids=str)
def test_finds_most_of_what_a_linear_model_can_lose_in_l2(shape):
    """The most is eps times the l2 norm of the weights; moving the content of whole windows comes near it."""
    weight = torch.randn(shape, dtype=DOUBLE)
    model, x, y = stubborn(weight), torch.full((2, *shape), 0.5, dtype=DOUBLE), torch.tensor([0, 0])
    result = SquareAttack(eps=0.1, norm="l2", steps=300)(model, x, y, generator=seeded())
    gained = margin(model(result.adversarial), y) - margin(model(x), y)
    most = 0.1 * weight.norm()
    assert (gained <= most * (1 + 1e-9)).all()
    assert (gained >= 0.7 * most).all()


def patch(*shape, free):
    """A mask that frees one rectangle, given as slices of the last axes."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[(..., *free)] = True
    return mask


FREE = {
    "features": patch(16, free=[slice(3, 12)]),
    "patch": patch(2, 6, 6, free=[slice(1, 4), slice(2, 6)]),
    "one channel": patch(2, 6, 6, free=[slice(6), slice(6)]) & torch.tensor([True, False])[:, None, None],
    "scattered": torch.rand(2, 6, 6, generator=seeded(1)) < 0.25,
}


@pytest.mark.parametrize(
    ("mask", "norm", "share"), [("patch", "l2", 0.7), ("scattered", "linf", 1.0), ("features", "linf", 1.0)]
)
def test_finds_what_the_free_coordinates_can_lose(mask, norm, share):
    free = FREE[mask]
    weight = torch.randn(free.shape, dtype=DOUBLE)
    model, x, y = stubborn(weight), torch.full((1, *free.shape), 0.5, dtype=DOUBLE), torch.tensor([0])
    result = SquareAttack(eps=0.1, norm=norm, steps=200)(model, x, y, free=free[None], generator=seeded())
    gained = margin(model(result.adversarial), y) - margin(model(x), y)
    most = 0.1 * (weight[free].abs().sum() if norm == "linf" else weight[free].norm())
    assert (gained <= most * (1 + 1e-9)).all()
    assert (gained >= share * most * (1 - 1e-9)).all()


@pytest.mark.parametrize("free", FREE.values(), ids=FREE)
@pytest.mark.parametrize("share", [1e-9, 0.3])
def test_every_window_holds_something_free_and_nothing_else(free, share):
    generator = seeded()
    shown = layout_of(torch.zeros(1, *free.shape), "auto", free[None])
    seen = torch.zeros_like(free)
    for _ in range(150):
        window = shown.window(share, generator)
        mask = shown.spread(window.mask, torch.zeros(1, *free.shape))[0]
        assert mask.any()
        assert not (mask & ~free).any()
        assert torch.equal(window.pattern != 0, window.mask)
        seen |= mask
    assert torch.equal(seen, free)


def test_windows_of_a_patch_are_those_of_an_image_of_its_size():
    free = patch(1, 1, 8, 8, free=[slice(2, 8), slice(1, 7)])
    masked, alone = layout_of(torch.zeros(1, 1, 8, 8), "auto", free), layout_of(torch.zeros(1, 1, 6, 6))
    drawn = [masked.window(0.3, seeded(i)).mask.reshape(8, 8)[2:, 1:7] for i in range(60)]
    expected = [alone.window(0.3, seeded(i)).mask.reshape(6, 6) for i in range(60)]
    assert {int(mask.sum()) for mask in drawn} == {9}
    assert {tuple(mask.flatten().tolist()) for mask in drawn} == {tuple(mask.flatten().tolist()) for mask in expected}


def test_breaks_what_lies_within_reach():
    weight = torch.ones(3, 8, 8, dtype=DOUBLE)

    def model(z):
        return torch.stack([(z * weight).flatten(1).sum(1), 96 + 0 * z.flatten(1).sum(1)], 1)

    x = 0.5 + torch.tensor([0.02, 0.15, -0.1], dtype=DOUBLE).reshape(3, 1, 1, 1) * torch.ones(3, 3, 8, 8, dtype=DOUBLE)
    result = SquareAttack(eps=0.05, steps=100)(model, x, torch.zeros(3, dtype=torch.int64), generator=seeded())
    assert result.success.tolist() == [True, False, True]
    assert result.queries.tolist()[1:] == [103, 2]  # the input, the stripes, 100 windows, and the last judgement
    assert 2 < result.queries[0] < 102


def test_one_window_has_one_sign_per_channel_and_keeps_the_rest():
    layout = layout_of(torch.zeros(1, 3, 9, 7))
    window = layout.window(0.3, seeded())
    assert int(window.mask.sum()) == round((0.3 * 63) ** 0.5) ** 2
    rows, columns = window.mask.reshape(9, 7).nonzero().unbind(1)
    assert rows.max() - rows.min() == columns.max() - columns.min() == 3
    assert layout.signs(seeded()).shape == (3, 1)
    assert set(layout.stripes(seeded()).unique().tolist()) == {-1.0, 1.0}
    assert (layout.stripes(seeded()).reshape(3, 9, 7).diff(dim=1) == 0).all()


@pytest.mark.parametrize("share", [1e-9, 0.5, 1.0])
def test_windows_have_between_one_and_all_positions(share):
    for layout in (layout_of(torch.zeros(1, 1, 4, 6)), layout_of(torch.zeros(1, 24))):
        expected = {1e-9: 1, 0.5: {Image: 9, Features: 12}[type(layout)], 1.0: {Image: 16, Features: 24}[type(layout)]}
        assert int(layout.window(share, seeded()).mask.sum()) == expected[share]


def test_windows_reach_every_corner():
    layout = layout_of(torch.zeros(1, 1, 3, 4))
    generator = seeded()
    seen = torch.stack([layout.window(0.1, generator).mask[0, 0] for _ in range(300)])
    assert seen.any(0).all()


def test_opposite_bumps_by_hand():
    """Side 3: the left half is one column, the right one two; heights 1/4, 1/4 + 1 grow towards each half's centre."""
    expected = torch.tensor([[0.25, -0.25, -0.25], [1.25, -0.25, -1.25], [0.25, -0.25, -0.25]], dtype=DOUBLE)
    assert_close(opposite_bumps(3, CPU, DOUBLE), expected)
    assert opposite_bumps(1, CPU, DOUBLE).tolist() == [[-1.0]]


def test_layout_follows_the_shape():
    assert isinstance(layout_of(torch.zeros(2, 3, 4, 5)), Image)
    assert isinstance(layout_of(torch.zeros(2, 4, 5)), Features)  # four words of length five, perhaps
    assert isinstance(layout_of(torch.zeros(2, 7)), Features)
    assert layout_of(torch.zeros(2, 3, 4, 5, 6)).positions == 360


def test_layout_may_be_said():
    grey = layout_of(torch.zeros(2, 4, 5), "image")
    assert isinstance(grey, Image)
    assert (grey.groups, grey.height, grey.width) == (1, 4, 5)
    assert isinstance(layout_of(torch.zeros(2, 3, 4, 5), "features"), Features)
    x, y, weight = torch.full((1, 4, 5), 0.5), torch.tensor([0]), torch.linspace(-1, 1, 20).reshape(4, 5)
    shown = {
        layout: SquareAttack(eps=0.1, steps=1, layout=layout)(stubborn(weight), x, y, generator=seeded()).adversarial
        for layout in ("auto", "features", "image")
    }
    assert torch.equal(shown["auto"], shown["features"])
    assert not torch.equal(shown["auto"], shown["image"])
    with pytest.raises(InvalidInput, match=r"layout must be 'features' .* got 'image' for \(7,\)"):
        SquareAttack(eps=0.1, layout="image")(lambda z: z, torch.zeros(2, 7), torch.tensor([0, 1]))


@pytest.mark.parametrize("shape", [(7,), (2, 5, 5)])
def test_l2_budget_is_spent(shape):
    weight = torch.randn(shape, dtype=DOUBLE)
    x = torch.full((1, *shape), 0.5, dtype=DOUBLE)
    result = SquareAttack(eps=0.2, norm="l2", steps=50)(stubborn(weight), x, torch.tensor([0]), generator=seeded())
    assert_close(result.distance, torch.tensor([0.2], dtype=DOUBLE))


@pytest.mark.parametrize(
    "wrong", [{"norm": "l1"}, {"steps": 0}, {"share": 0.0}, {"share": 1.5}, {"layout": "grid"}], ids=str
)
def test_refuses_nonsense(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        SquareAttack(**{"eps": 0.1, **wrong})
