"""Criteria against closed forms of linear models, and on every kind of input."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from trustworthy.attacks import BoundaryAttack, MinimumNorm
from trustworthy.core.errors import InvalidInput
from trustworthy.explain import (
    CRITERIA,
    Area,
    Curve,
    Gradient,
    Infidelity,
    LeaveOneOut,
    Masking,
    MaxSensitivity,
    RandomOrder,
    Robustness,
    SubsetRobustness,
    as_criterion,
)
from trustworthy.explain.robustness import finite

FREE = Robustness(attack=MinimumNorm(bounds=None, steps=40))
WEIGHT = torch.tensor([4.0, -3.0, 2.0, 1.0], dtype=torch.float64)
X = torch.tensor([[0.6, 0.1, 0.2, 0.5], [0.2, 0.7, 0.9, 0.3]], dtype=torch.float64)
QUARTERS = (0.0, 0.25, 0.5, 0.75)


def two_classes(rows):
    """Logits (0, w x), so that class 1 is at the distance w x / ||w||."""
    score = rows.to(torch.float64) @ WEIGHT
    return torch.stack([torch.zeros_like(score), score], dim=1)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def test_area_of_a_curve_by_hand():
    curve = Curve(shares=(0.0, 0.1, 0.3), value=torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(curve.auc, torch.tensor([10 * 2.0 + 20 * 2.5, 10.0]))


@pytest.mark.parametrize("relevant", [False, True])
def test_robustness_curve_of_a_linear_model(relevant):
    attribution = Gradient()(two_classes, X)  # features in the order 0, 1, 2, 3
    curve = SubsetRobustness(relevant=relevant, shares=QUARTERS, robustness=FREE)(two_classes, X, attribution).curve
    weights = [WEIGHT[:k] if relevant else WEIGHT[k:] for k in range(int(relevant), 4)]
    length = torch.stack([weight.norm() for weight in weights])
    exact = (X @ WEIGHT).abs()[:, None] / length
    torch.testing.assert_close(curve.value, exact, rtol=5e-3, atol=0)
    assert (curve.value >= exact * (1 - 1e-9)).all()
    assert curve.shares == QUARTERS[int(relevant) :]
    assert not curve.unbroken.any()


def test_what_changes_a_set_changes_every_larger_one():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draw(1), dtype=torch.float64))
    x = torch.rand(5, 6, generator=draw(2), dtype=torch.float64)
    weak = Robustness(attack=MinimumNorm(steps=3))
    attribution = RandomOrder()(model, x, generator=draw(3))
    given = {"shares": tuple(k / 6 for k in range(6)), "robustness": weak}
    assert (SubsetRobustness(relevant=True, **given)(model, x, attribution).curve.value.diff() <= 0).all()
    assert (SubsetRobustness(relevant=False, **given)(model, x, attribution).curve.value.diff() >= 0).all()


def test_unbroken_points_stand_for_the_longest_way():
    x = torch.tensor([[0.25, 0.5]])
    size = torch.tensor([[torch.inf, 0.1]])
    torch.testing.assert_close(finite(size, x, (0.0, 1.0), "linf"), torch.tensor([[0.75, 0.1]]))
    torch.testing.assert_close(finite(size, x, None, "l2"), torch.tensor([[0.3125**0.5, 0.1]]))
    assert finite(torch.tensor([[torch.inf, 9.0]]), x, None, "l2").tolist() == [[9.0, 9.0]]


def test_a_constant_model_is_said_to_be_unbroken():
    def constant(rows):
        return torch.tensor([[0.0, 1.0]]).expand(len(rows), 2) + 0 * rows.flatten(1)[:, :1]

    x = torch.full((2, 4), 0.25)
    attribution = Gradient()(constant, x)
    for name in ("robustness", "robustness-complement"):
        found = replace(CRITERIA[name], robustness=Robustness(attack=MinimumNorm(steps=3)))(constant, x, attribution)
        assert found.curve.unbroken.all()
        torch.testing.assert_close(found.curve.value, torch.full_like(found.curve.value, 1.5))
    for name in ("insertion", "infidelity", "sensitivity"):
        assert CRITERIA[name](constant, x, attribution, explainer=Gradient()).value.isfinite().all()


@pytest.mark.parametrize("insert", [True, False])
@pytest.mark.parametrize("target", [None, 0])
def test_insertion_and_deletion_of_a_linear_logit(insert, target):
    attribution = LeaveOneOut(baseline=0.5)(two_classes, X, torch.tensor([1, 1]), target=target)
    found = Masking(insert=insert, baseline=0.5, shares=(0.0, 0.5, 1.0))(two_classes, X, attribution)
    for row in range(2):
        top = attribution.order[row, :2]
        half = torch.full((4,), 0.5, dtype=torch.float64) if insert else X[row].clone()
        half[top] = X[row, top] if insert else 0.5
        ends = torch.full((4,), 0.5, dtype=torch.float64), X[row]
        points = torch.stack([ends[0] if insert else ends[1], half, ends[1] if insert else ends[0]])
        torch.testing.assert_close(found.curve.value[row], (points @ WEIGHT).sigmoid())
    assert found.calls.tolist() == [3, 3]


def test_infidelity_is_zero_of_the_exact_scores_alone():
    y = torch.tensor([1, 1])
    exact = LeaveOneOut()(two_classes, X, y)
    twice = replace(exact, scores=2 * exact.scores)
    torch.testing.assert_close(Infidelity(scaled=False)(two_classes, X, exact).value, torch.zeros(2).double())
    torch.testing.assert_close(Infidelity()(two_classes, X, twice).value, torch.zeros(2).double())
    wrong = replace(exact, scores=-exact.scores)  # no factor >= 0 helps it
    found = Infidelity()(two_classes, X, wrong, generator=draw())
    assert (found.value > 5 * found.error).all()
    blind = Infidelity()(two_classes, X, replace(exact, scores=0 * exact.scores), generator=draw())
    torch.testing.assert_close(found.value, blind.value)


def test_infidelity_of_unscaled_scores_by_enumeration():
    attribution = replace(LeaveOneOut()(two_classes, X), scores=torch.zeros_like(X))
    found = Infidelity(scaled=False, draws=20000)(two_classes, X, attribution, generator=draw())
    # A set of a uniform share: each feature alone is in it half of the time, two of them a third.
    part = X * WEIGHT
    exact = part.square().sum(1) / 2 + (part.sum(1).square() - part.square().sum(1)) / 3
    assert ((found.value - exact).abs() < 4 * found.error).all()


def test_sensitivity_is_zero_where_the_gradient_is_constant():
    given = {"explainer": Gradient(), "generator": draw()}
    assert MaxSensitivity()(two_classes, X, Gradient()(two_classes, X), **given).value.tolist() == [0.0, 0.0]
    given["explainer"] = LeaveOneOut()
    moved = MaxSensitivity(radius=0.01)(two_classes, X, LeaveOneOut()(two_classes, X), **given)
    bound = 0.01 * WEIGHT.norm() / (X * WEIGHT).norm(dim=1)  # every coordinate moves by 0.01 at most
    assert ((moved.value > 0.5 * bound) & (moved.value <= bound)).all()
    assert (moved.error > 0).all()
    assert (
        MaxSensitivity()(two_classes, X, RandomOrder()(two_classes, X), explainer=RandomOrder()).value.min() > 0.1
    )  # not the same draws again


def test_neighbours_with_another_prediction_are_left_out():
    @dataclass(frozen=True, kw_only=True)
    class OfPrediction(LeaveOneOut):
        of_prediction: ClassVar = True  # refuses any other class than the predicted one

    def edge(rows):
        return torch.stack([rows[:, 0] - 0.5, 0 * rows[:, 0]], dim=1)

    x = torch.tensor([[0.501, 0.5]], dtype=torch.float64)
    given = {"explainer": OfPrediction(), "generator": draw()}
    moved = MaxSensitivity(draws=20)(edge, x, OfPrediction()(edge, x), **given).value
    assert 0.03 < moved < 0.02 / 0.501 + 1e-9


def test_area_is_the_gain_over_the_reverse():
    attribution = Gradient()(two_classes, X)
    for relevant in (False, True):
        quick = Robustness(attack=MinimumNorm(bounds=None, steps=5))
        criterion = SubsetRobustness(relevant=relevant, shares=QUARTERS, robustness=quick)
        gain = Area(criterion=criterion)(two_classes, X, attribution).value
        assert (gain > 0).all()
        most, least = (criterion(two_classes, X, one).value for one in (attribution, attribution.reversed()))
        torch.testing.assert_close(gain, least - most if relevant else most - least)
    assert as_criterion("area:deletion") == Area(criterion=CRITERIA["deletion"])
    with pytest.raises(InvalidInput, match="with a curve"):
        as_criterion("area:infidelity")(two_classes, X, attribution)


def cheap(attack):
    every = {}
    for name, criterion in CRITERIA.items():
        if isinstance(criterion, SubsetRobustness):
            criterion = replace(criterion, robustness=Robustness(attack=attack), shares=(0.0, 0.5, 0.75))
        every[name] = replace(criterion, bounds=None) if isinstance(criterion, MaxSensitivity) else criterion
    return every


def test_every_criterion_of_images_and_of_padded_sequences():
    torch.manual_seed(0)
    image, text = torch.rand(2, 1, 3, 3), torch.rand(2, 4, 3)
    text[1, 2:] = 0
    for x in (image, text):
        model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3))
        attribution = Gradient()(model, x)
        for criterion in cheap(MinimumNorm(bounds=None, steps=5)).values():
            found = criterion(model, x, attribution, explainer=Gradient(), generator=draw())
            assert found.value.shape == (2,)
            assert found.value.isfinite().all()
    padded = SubsetRobustness(relevant=False, shares=(0.0, 0.5, 1.0), robustness=FREE)(model, text, attribution).curve
    assert padded.unbroken[:, 2].all()  # all words held: padding must not move


def test_every_criterion_of_a_classifier_that_gives_labels():
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    table = rng.random((40, 3))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(table, (table[:, 0] + table[:, 1] > 1).astype(int))
    x = table[:2]
    attribution = LeaveOneOut()(tree.predict, x)
    attack = BoundaryAttack(starts=table, steps=5, bounds=None)
    for name, criterion in cheap(attack).items():
        found = criterion(tree.predict, x, attribution, explainer=LeaveOneOut(), generator=draw())
        assert found.value.isfinite().all(), name


def test_wrong_settings_and_rows():
    attribution = Gradient()(two_classes, X)
    with pytest.raises(InvalidInput, match="greater than the one before"):
        Masking(insert=True, shares=(0.5, 0.2))
    with pytest.raises(InvalidInput, match="at least two"):
        SubsetRobustness(relevant=True, shares=(0.0, 0.2))
    with pytest.raises(InvalidInput, match="rows of x, got 2 for 1"):
        Masking(insert=True)(two_classes, X[:1], attribution)
    with pytest.raises(InvalidInput, match="explainer must be"):
        MaxSensitivity()(two_classes, X, attribution)
    with pytest.raises(InvalidInput, match="unknown criteria 'inserton'"):
        as_criterion("inserton")
