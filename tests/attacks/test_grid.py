"""Attacks on linear models whose coordinates have ranges and steps: how far the boundary is, in closed form."""

import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import (
    APGD,
    FGSM,
    PGD,
    BoundaryAttack,
    CarliniWagner,
    SquareAttack,
    diagnose,
    minimal_distortion,
    robustness_curve,
    transfer_affinity,
)
from trustworthy.core.errors import InvalidInput
from trustworthy.core.grid import Grid

WEIGHT = torch.tensor([2.0, -1.0, 0.5, 1.5], dtype=torch.float64)
X = torch.rand(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
Y = torch.zeros(12, dtype=torch.int64)
MARGIN = X @ WEIGHT - 1.0


def model(z):
    return torch.stack([z @ WEIGHT - 1.0, 0 * z[:, 0]], 1)


def grid(low=-9.0, high=9.0, step=0.0):
    """The same numbers for every coordinate, or four."""
    ends = (torch.as_tensor(values, dtype=torch.float64).expand(4) for values in (low, high, step))
    return Grid(**dict(zip(("low", "high", "step"), ends, strict=True)))


def seeded():
    return torch.Generator().manual_seed(0)


def only_first(x):
    return (torch.arange(4) == 0).expand(x.shape)


NEAREST = {
    "carlini-wagner": CarliniWagner(bounds=None, steps=100, searches=8),
    "boundary": BoundaryAttack(bounds=None, steps=150),
    "pgd": PGD(eps=9.0, norm="l2", bounds=None, steps=5, random_start=False),
}


@pytest.mark.parametrize("attack", NEAREST.values(), ids=NEAREST)
def test_the_distance_is_that_of_the_fewest_whole_steps(attack):
    """One coordinate moves, by steps: the first of them beyond the margin breaks the prediction."""
    step = 0.07
    fewest = (MARGIN / 2.0 / step).ceil() * step
    found = minimal_distortion(
        model, attack, X, Y, free=only_first(X), grid=grid(step=step), bisections=20, generator=seeded()
    )
    assert_close(found.distance, fewest, rtol=1e-6, atol=0)


BUDGET = {
    "fgsm": FGSM(eps=0.2, norm="l2", bounds=None),
    "pgd": PGD(eps=0.2, norm="l2", bounds=None),
    "pgd-l1": PGD(eps=0.2, norm="l1", bounds=None, steps=60),
    "apgd": APGD(eps=0.2, norm="l2", bounds=None, steps=20),
    "apgd-l1": APGD(eps=0.2, norm="l1", bounds=None, steps=40),
    "square": SquareAttack(eps=0.2, norm="l2", bounds=None, steps=100, layout="features"),
}


@pytest.mark.parametrize(
    ("name", "why"),
    [(name, why) for name in BUDGET for why in ("range", "step") if (name, why) != ("square", "range")],
)  # windows of a random search hold what its bounds then cut off, as those of an image do
def test_no_budget_is_spent_where_nothing_can_move(name, why):
    """The largest weight is out of reach; the radius goes to the others, as if it were held."""
    low = torch.full((4,), -9.0, dtype=torch.float64)
    step = torch.zeros(4, dtype=torch.float64)
    if why == "range":
        low[0] = X[:, 0].max()  # the attack would lower it; no example lies above
    else:
        step[0] = 0.21
    attack, free = BUDGET[name], ~only_first(X)
    limited = attack(model, X, Y, grid=grid(low, 9.0, step), generator=seeded()).adversarial
    held = attack(model, X, Y, free=free, generator=seeded()).adversarial
    lost = (model(X) - model(limited))[:, 0]
    assert_close(lost, (model(X) - model(held))[:, 0], rtol=0.02, atol=0)
    assert (lost > 0.15).all()


@pytest.mark.parametrize("attack", BUDGET.values(), ids=BUDGET)
def test_where_no_step_is_as_short_as_the_radius_nothing_moves(attack):
    found = attack(model, X, Y, grid=grid(step=0.3), generator=seeded())
    assert torch.equal(found.adversarial, X)


def test_a_curve_falls_where_whole_steps_reach():
    eps = [0.06, 0.07, 0.13, 0.14, 0.21]
    attack = FGSM(eps=1.0, bounds=None)
    curve = robustness_curve(model, attack, X, Y, eps, free=only_first(X), grid=grid(step=0.07), batch_size=5)
    moved = torch.tensor([0.0, 0.07, 0.07, 0.14, 0.21], dtype=torch.float64)
    assert curve.robust.tolist() == (2.0 * moved[:, None] < MARGIN).tolist()


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda asked, **space: transfer_affinity([asked], PGD(eps=0.3, bounds=None, steps=3), X, Y, **space),
        lambda asked, **space: diagnose(
            asked, X, Y, attack=PGD(eps=0.3, bounds=None, steps=3), queries=5, generator=seeded(), **space
        ),
    ],
    ids=["transfer", "diagnosis"],
)
def test_evaluations_keep_to_the_mask_and_the_grid(evaluate):
    seen = []

    def asked(z):
        seen.append(z.detach().clone())
        return model(z)

    evaluate(asked, free=~only_first(X), grid=grid(0.4, 0.6, [0.0, 0.0, 0.0, 0.05]))
    points = torch.cat(seen)
    assert torch.isin(points[:, 0], X[:, 0]).all()
    assert points[:, 1:].min() >= 0.4
    assert points[:, 1:].max() <= 0.6
    assert (points[:, 1] == 0.4).any()  # the attack goes as far as it may
    ways = (points[:, None, 3] - X[None, :, 3]) / 0.05
    assert ((ways - ways.round()).abs().amin(1) < 1e-8).all()


def test_a_grid_that_is_none_is_refused():
    wrong = {
        r"low, high and step of a grid must have one shape, .* got \(4,\), \(4,\), \(3,\)": lambda: Grid(
            low=torch.zeros(4), high=torch.ones(4), step=torch.zeros(3)
        ),
        "low of a grid must be <= high": lambda: grid(1.0, 0.0),
        "step of a grid must be finite and >= 0; use 0": lambda: grid(step=-1.0),
        r"grid must have the shape of an example, \(3,\), got \(4,\)": lambda: FGSM(eps=0.1)(
            model, X[:, :3], Y, grid=grid()
        ),
    }
    for message, call in wrong.items():
        with pytest.raises(InvalidInput, match=message):
            call()
