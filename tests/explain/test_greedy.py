"""Greedy and Greedy-AS against enumeration and closed forms, and the regression of (7.6) against its definition."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from reference import released_greedy_as as released
from trustworthy.attacks import BoundaryAttack, MinimumNorm
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.losses import margin
from trustworthy.attacks.problem import Problem
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.norms import L2
from trustworthy.core.protocols import as_posterior
from trustworthy.explain import Greedy, GreedyAS, Robustness
from trustworthy.explain.aggregation import aggregation, drawn_coalitions
from trustworthy.explain.first_order import estimates

OPEN = Robustness(attack=MinimumNorm(bounds=None, steps=20))
SHORT = Robustness(attack=MinimumNorm(steps=8))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(d: int = 6, classes: int = 3, seed: int = 0) -> nn.Module:
    model = nn.Sequential(nn.Linear(d, 8), nn.Tanh(), nn.Linear(8, classes)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draws(seed), dtype=torch.float64))
    return model


def two_classes(weight: list[float], bias: float = 0.0) -> nn.Linear:
    """Logits (<weight, x> + bias, 0): g(S) = (<weight, x> + bias) / |weight_S| in l2."""
    model = nn.Linear(len(weight), 2).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([weight, [0.0] * len(weight)]))
        model.bias.copy_(torch.tensor([bias, 0.0]))
    return model


@pytest.mark.parametrize("seed", [0, 1])
def test_regression_on_all_coalitions_is_the_banzhaf_value(seed):
    features = 5
    every = drawn_coalitions(features, 2**features, 0.3, None, torch.device("cpu"))
    values = torch.randn(2**features, generator=draws(seed), dtype=torch.float64)
    of = {tuple(row.tolist()): float(value) for row, value in zip(every, values, strict=True)}
    banzhaf = torch.zeros(features, dtype=torch.float64)
    for rest in itertools.product([False, True], repeat=features - 1):
        for i in range(features):
            with_it, without = (*rest[:i], True, *rest[i:]), (*rest[:i], False, *rest[i:])
            banzhaf[i] += (of[with_it] - of[without]) / 2 ** (features - 1)
    weights, _ = aggregation(values, every)
    torch.testing.assert_close(weights, banzhaf)


def test_regression_has_an_intercept_and_honest_errors():
    """Errors against those of a textbook: s**2 (Z'Z)^-1 with the column of ones in Z."""
    coalitions = drawn_coalitions(6, 40, 0.4, draws(), torch.device("cpu"))
    truth = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, 0.0], dtype=torch.float64)
    values = 100 + coalitions.double() @ truth + torch.randn(40, generator=draws(1), dtype=torch.float64)
    weights, error = aggregation(values, coalitions)
    design = torch.cat([coalitions.double(), torch.ones(40, 1, dtype=torch.float64)], 1)
    exact = torch.linalg.lstsq(design, values).solution
    noise = (values - design @ exact).square().sum() / (40 - 7)
    torch.testing.assert_close(weights, exact[:6])
    torch.testing.assert_close(error, (noise * torch.linalg.inv(design.T @ design).diagonal()).sqrt()[:6])


def test_regression_with_fewer_coalitions_than_features_is_shrunk_not_wild():
    coalitions = drawn_coalitions(60, 50, 0.5, draws(), torch.device("cpu"))
    truth = torch.zeros(60, dtype=torch.float64)
    truth[:3] = 5.0
    values = coalitions.double() @ truth + 0.5 * torch.randn(50, generator=draws(1), dtype=torch.float64)
    weights, error = aggregation(values, coalitions)
    assert set(weights.topk(3).indices.tolist()) == {0, 1, 2}
    assert weights.norm() < truth.norm()
    assert ((weights - truth).abs() < 3 * error).double().mean() > 0.9
    held, unsure = aggregation(values, coalitions & (torch.arange(60) > 0))
    assert held[0] == 0
    assert unsure[0].isinf()


def test_coalitions_hold_each_feature_equally_often():
    drawn = drawn_coalitions(40, 1000, 0.2, draws(), torch.device("cpu"))
    assert drawn.sum(0).tolist() == [200] * 40
    assert 2 < drawn.sum(1).double().std() < 3  # independent within a coalition: sqrt(40 * .2 * .8) = 2.5
    half = drawn_coalitions(40, 10, 0.5, draws(), torch.device("cpu"))
    assert (half[0::2] ^ half[1::2]).all()
    all_of_them = drawn_coalitions(3, 8, 0.2, None, torch.device("cpu"))
    assert len({tuple(row) for row in all_of_them.tolist()}) == 8


@pytest.mark.parametrize("method", [Greedy, GreedyAS])
@pytest.mark.parametrize("objective", ["complement", "relevant"])
def test_order_of_a_linear_model_is_that_of_its_weights(method, objective):
    weight = [0.3, -2.0, 1.0, 0.1, -0.6]
    model, x = two_classes(weight, 9.0), torch.full((2, 5), 0.4, dtype=torch.float64)
    found = method(objective=objective, share=0.2, until=1.0, robustness=OPEN)(model, x)
    assert found.order.tolist() == [[1, 2, 4, 0, 3]] * 2
    assert (found.scores.gather(1, found.order).diff(dim=1) <= 0).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("objective", ["complement", "relevant"])
def test_greedy_is_the_enumeration_of_its_steps(objective, norm):
    """With features that overlap the best set of a linear model covers the most weight, which greedy approaches."""
    weight = torch.randn(24, generator=draws(2), dtype=torch.float64)
    masks = torch.rand(8, 24, generator=draws(3)) < 0.2
    masks[0] |= ~masks.any(0)
    model, x = two_classes(weight.tolist(), 20.0), torch.zeros(1, 24, dtype=torch.float64)
    robustness = Robustness(attack=MinimumNorm(norm=norm, bounds=None, steps=20))
    found = Greedy(objective=objective, share=0.125, until=0.5, robustness=robustness)(model, x, groups=masks)
    chosen: list[int] = []
    for picked in found.order[0].tolist()[:4]:
        left = [i for i in range(8) if i not in chosen]
        held = torch.stack([masks[[*chosen, i]].any(0) for i in left])
        inside = weight * (~held if objective == "complement" else held)
        distance = 20 / (inside.norm(dim=1) if norm == "l2" else inside.abs().sum(1))
        assert picked == left[int(distance.argmax() if objective == "complement" else distance.argmin())]
        chosen.append(picked)


def test_the_distance_falls_as_greedy_frees_more():
    model, x = network(), torch.randn(3, 6, generator=draws(3), dtype=torch.float64)
    found = Greedy(objective="relevant", share=1 / 6, until=1.0, robustness=OPEN)(model, x)
    place = torch.arange(1, 7)
    sets = torch.zeros(3, 6, 6, dtype=torch.bool).scatter_(
        2, found.order[:, None].expand(-1, 6, -1), (torch.arange(6) < place[:, None]).expand(3, -1, -1)
    )
    size = OPEN(model, x, found.y, sets).size
    assert (size.diff(dim=1).nan_to_num(nan=0.0) <= size[:, 1:].nan_to_num(posinf=1e9) * 0.02).all()
    assert size[:, -1].isfinite().all()


def test_an_estimate_goes_around_the_bounds():
    """The straight way is (-.32, -.16); the first coordinate has only .1 to go, so the second goes the rest, .6."""
    model, x = two_classes([2.0, 1.0], -0.3), torch.tensor([[0.1, 0.9]], dtype=torch.float64)
    goal = Goal(torch.tensor([0]), None, margin)
    size = estimates(Problem(as_posterior(model), x, goal), L2(), (0.0, 1.0), x, 1)
    torch.testing.assert_close(size, torch.tensor([0.1, 0.6], dtype=torch.float64).norm()[None])


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["complement", "relevant"])
def test_the_released_procedure_chooses_the_same_features_of_a_linear_model(objective):
    weight = [0.3, -2.0, 1.0, 0.1, -0.6, 0.2, -0.1, 0.4]
    model, x = two_classes(weight, 0.6), torch.full((1, 8), 0.5, dtype=torch.float64)
    scores, _ = released.greedy_as(
        model, x[0], 0, torch.eye(8, dtype=torch.bool), relevant=objective == "relevant", coalitions=128, share=0.25,
        until=0.25, inclusion=0.5, iterations=30, generator=draws(),
    )  # fmt: skip
    ours = GreedyAS(objective=objective, share=0.25, until=0.25, inclusion=0.5)(model, x)
    assert set(scores.topk(2).indices.tolist()) == set(ours.order[0, :2].tolist()) == {1, 2}


def test_groups_that_are_absent_are_never_chosen_and_overlaps_are_held():
    model = nn.Sequential(nn.Flatten(), network(d=8))
    words = torch.randn(2, 4, 2, generator=draws(4), dtype=torch.float64)
    words[1, 2:] = 0
    found = GreedyAS(share=0.5, until=1.0, robustness=OPEN)(model, words, generator=draws())
    assert found.scores.isnan().tolist() == [[False] * 4, [False, False, True, True]]
    assert set(found.order[1, :2].tolist()) == {0, 1}
    covers = GreedyAS(share=0.5, robustness=OPEN)(
        network(), words.reshape(2, 8)[:, :6], groups=[[0, 1, 2], [2, 3, 4, 5]]
    )
    assert covers.scores.isfinite().all()


def test_a_batch_is_explained_as_its_examples_are_one_by_one():
    model, x = network(), torch.randn(2, 6, generator=draws(5), dtype=torch.float64)
    method = GreedyAS(share=0.34, until=1.0, robustness=OPEN)
    together = method(model, x)
    alone = [method(model, x[row : row + 1]) for row in range(2)]
    torch.testing.assert_close(together.scores, torch.cat([one.scores for one in alone]))
    assert together.calls.tolist() == [int(one.calls) for one in alone]


def test_two_targets_have_two_explanations():
    """Each target is separated from the explained class by one coordinate."""
    model = nn.Linear(4, 3).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0] * 4, [3.0, 0.1, 0.2, 0.0], [0.0, 0.2, 3.0, 0.1]]))
        model.bias.copy_(torch.tensor([5.0, 0.0, 0.0]))
    x = torch.full((2, 4), 0.1, dtype=torch.float64)
    found = GreedyAS(share=0.25, robustness=OPEN)(model, x, target=np.array([1, 2]))
    assert found.order[:, 0].tolist() == [0, 2]


def test_a_criterion_gets_the_ranking_of_its_objective():
    method = GreedyAS()
    relevant = method.for_criterion("robustness")
    assert isinstance(relevant, GreedyAS)
    assert relevant.objective == "relevant"
    assert method.for_criterion("insertion") is method
    assert method.for_criterion("robustness-complement") is method


class Constant(nn.Module):
    def forward(self, x):
        return x.flatten(1).sum(1, keepdim=True) * 0 + torch.tensor([1.0, 0.0])


@pytest.mark.parametrize(
    "method", [Greedy(robustness=SHORT), GreedyAS(coalitions=8, robustness=SHORT)], ids=["greedy", "greedy-as"]
)
def test_a_constant_model_is_said_to_have_nothing_to_explain(method):
    with pytest.warns(TrustworthyWarning, match="2 of 2 examples"):
        found = method(Constant(), torch.rand(2, 5))
    assert (found.scores == 0).all()


def test_what_is_not_predicted_is_not_explained():
    x = torch.rand(2, 6, dtype=torch.float64)
    y = (network()(x).argmax(1) + 1) % 3
    with pytest.raises(InvalidInput, match="leave out y"):
        GreedyAS(robustness=OPEN)(network(), x, y)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"until": 1.5}, "until"),
        ({"share": 0.0}, "share"),
        ({"objective": "both"}, "objective"),
        ({"coalitions": 1}, "coalitions"),
        ({"inclusion": 1.0}, "inclusion"),
        ({"linearisations": 0}, "linearisations"),
    ],
)
def test_wrong_settings(settings, says):
    with pytest.raises(InvalidInput, match=says):
        GreedyAS(**settings)


def test_a_tree_is_explained_by_its_decisions_alone():
    """The label is the first column's side of .5 alone."""
    draw = np.random.RandomState(0)
    rows = draw.rand(80, 4)
    tree = DecisionTreeClassifier(random_state=0).fit(rows, (rows[:, 0] > 0.5).astype(int))
    attack = BoundaryAttack(norm="l2", steps=5)
    method = GreedyAS(share=0.25, coalitions=16, robustness=Robustness(attack=attack))
    assert method.asks == "labels"
    found = method(tree.predict, rows[:2], generator=draws())
    assert found.order[:, 0].tolist() == [0, 0]


class Noisy(nn.Module):
    """Noise on the input, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.inner = two_classes([0.3, -2.0, 1.0, 0.1], 3.0)

    def forward(self, x):
        return self.inner(x + 0.02 * torch.randn_like(x))


def test_a_stochastic_model_is_asked_for_all_draws():
    x = torch.full((1, 4), 0.4, dtype=torch.float64)
    attack = MinimumNorm(bounds=None, eot=4, steps=15)
    method = GreedyAS(share=0.25, eot=4, robustness=Robustness(attack=attack))
    found = method(Noisy(), x, generator=draws())
    assert found.order[0, :2].tolist() == [1, 2]
    again = method(Noisy(), x, generator=draws())
    assert torch.equal(found.scores, again.scores)
