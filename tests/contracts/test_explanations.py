"""What every explanation guarantees, of pictures, tables and texts. A new method is one line in `explain.METHODS`."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trustworthy.attacks import MinimumNorm
from trustworthy.core.errors import InvalidInput, NoGradient
from trustworthy.explain import METHODS, Explainer, Partition, Robustness
from trustworthy.nn.ensemble import Ensemble

CHEAP = {
    "anchors": {"draws": 64, "longest": 1},
    "bbmp": {"steps": 3},
    "cfx": {"robustness": Robustness(attack=MinimumNorm(bounds=None, steps=10))},
    "eg": {"samples": 3},
    "greedy": {"share": 0.4, "robustness": Robustness(attack=MinimumNorm(bounds=None, steps=10))},
    "greedy-as": {"share": 0.4, "coalitions": 30, "robustness": Robustness(attack=MinimumNorm(bounds=None, steps=10))},
    "ig": {"steps": 3},
    "shap": {"samples": 60},
    "shap-permutation": {"permutations": 2},
}
"""Settings under which a method is quick; of a method that is not named, its own."""
EXPLAINERS = {name: method(**CHEAP.get(name, {})) for name, method in METHODS.items()}
RANDOM = {"anchors", "eg", "greedy-as", "random", "shap", "shap-permutation"}
CLASSES = 3
SHAPES = {"image": (2, 3, 3), "table": (5,), "text": (4, 3)}
TYPES = {"image": torch.float32, "table": torch.float64, "text": torch.float32}

PLACE = torch.device("cpu")


@pytest.fixture(autouse=True)
def _placed(device):
    """Every case and every generator of a test is on its device."""
    global PLACE
    PLACE = device


def each(explainers=EXPLAINERS):
    return pytest.mark.parametrize("method", explainers.values(), ids=explainers)


def only(asks):
    return each({name: method for name, method in EXPLAINERS.items() if method.asks in asks})


def case(kind, seed=3):
    """A small classifier with batch norm and dropout, whose modes are mixed, and three examples of its kind."""
    torch.default_generator.manual_seed(seed)
    shape, dtype = SHAPES[kind], TYPES[kind]
    x = torch.rand(3, *shape, dtype=dtype)
    if kind == "image":
        body = [nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, CLASSES)]
    else:
        width = int(np.prod(shape))
        body = [nn.Flatten(), nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(), nn.Linear(8, CLASSES)]
    if kind == "text":  # a text of four words, one of two, one of one
        x[1, 2:] = 0
        x[2, 1:] = 0
    net = nn.Sequential(*body).to(dtype).train()
    net[0].eval()
    with torch.no_grad():
        net[-1].weight.mul_(8.0)
    return net.to(PLACE), x.to(PLACE)


def seeded(seed=0):
    return torch.Generator(PLACE).manual_seed(seed)


def alike(one, other):
    """Numbers that may differ by the rounding of a batch of another size."""
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4, equal_nan=True)


class Counted(nn.Module):
    """Counts the rows that a model is shown."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.seen = model, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return self.model(x)


@pytest.mark.parametrize("kind", [pytest.param("image", marks=pytest.mark.slow), "table", "text"])
@each()
def test_every_feature_that_is_there_has_a_score_and_a_place(method, kind):
    net, x = case(kind)
    counted = Counted(net)
    found = method(counted, x, generator=seeded())
    assert found.scores.shape == found.order.shape == (3, {"image": 9, "table": 5, "text": 4}[kind])
    assert found.scores.dtype == x.dtype
    assert torch.equal(found.scores.isnan(), ~found.present)
    assert not found.scores.isinf().any()
    assert found.error is None or torch.equal(found.error.isnan(), ~found.present)
    assert torch.equal(found.order.sort(1).values, torch.arange(found.order.shape[1]).to(PLACE).expand(3, -1))
    ranked = found.present.gather(1, found.order)
    assert torch.equal(ranked, ranked.sort(1, descending=True).values)  # the absent come last
    assert torch.equal(found.y, copy.deepcopy(net).eval()(x).argmax(1))
    assert int(found.calls.sum()) == counted.seen


@each()
def test_no_trace_is_left(method):
    net, x = case("text")
    given, state = x.clone(), copy.deepcopy(net.state_dict())
    modes, stream = [module.training for module in net.modules()], torch.get_rng_state()
    first = method(net, x, generator=seeded())
    assert torch.equal(torch.get_rng_state(), stream)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())
    assert torch.equal(x, given)
    assert not first.scores.requires_grad
    again = method(net, x, generator=seeded())
    assert torch.equal(first.scores.nan_to_num(), again.scores.nan_to_num())
    assert torch.equal(first.order, again.order)


@each({name: method for name, method in EXPLAINERS.items() if name not in RANDOM})
def test_a_batch_is_its_examples_one_by_one(method):
    net, x = case("text")
    found = method(net, x)
    for row in range(len(x)):
        alone = method(net, x[row : row + 1])
        alike(found.scores[row : row + 1], alone.scores)
        assert found.calls[row] == alone.calls[0]


@each({name: method for name, method in EXPLAINERS.items() if name not in RANDOM})
def test_an_ensemble_of_one_network_twice_is_that_network(method):
    net, x = case("table")
    single, twice = method(net, x), method(Ensemble([net, copy.deepcopy(net)]), x)
    alike(single.scores, twice.scores)
    assert torch.equal(2 * single.calls, twice.calls)


@each()
def test_a_stochastic_model_is_asked_for_its_draws(method):
    net, x = case("table")
    counted = Counted(net)
    found = replace(method, eot=3)(counted, x, generator=seeded())
    assert int(found.calls.sum()) == counted.seen
    assert (found.calls > method(net, x, generator=seeded()).calls).all()


@each()
def test_why_one_class_and_not_another(method):
    net, x = case("table")
    y = copy.deepcopy(net).eval()(x).argmax(1)
    target = (y + 1) % CLASSES
    against, other = (method(net, x, y, target=t, generator=seeded()) for t in (target, (y + 2) % CLASSES))
    assert torch.equal(against.target, target)
    assert method.asks == "labels" or not torch.equal(against.scores, other.scores)


FORMS = {
    "name": ("image", "channel", 2),
    "patches": ("image", "patch:2", 4),
    "map": ("image", torch.arange(9).reshape(3, 3) // 3, 3),
    "map-of-each": ("text", torch.arange(12).reshape(3, 4) % 2, 2),
    "columns": ("table", [[0, 3], [1, 2, 4]], 2),
    "overlapping": ("table", [[0, 1, 2], [2, 3, 4]], 2),
    "groups": ("table", Partition(torch.tensor([[0, 0, 1, 1, 2]]), 3), 3),
}
QUICK = {"map-of-each", "overlapping"}


@pytest.mark.parametrize("form", [pytest.param(f, marks=() if f in QUICK else pytest.mark.slow) for f in FORMS])
@each()
def test_features_of_every_form(method, form):
    kind, groups, count = FORMS[form]
    net, x = case(kind)
    found = method(net, x, groups=groups, generator=seeded())
    assert found.scores.shape == (3, count)
    assert found.map().shape == x.shape
    assert torch.equal(found.scores.isnan(), ~found.present)


@only({"gradients"})
def test_without_gradients_it_is_said_what_works(method):
    net, x = case("table")
    with pytest.raises(NoGradient, match="loo, random, shap"):
        method(lambda rows: net(rows).detach(), x)


@only({"scores", "labels"})
def test_what_needs_no_gradients_takes_a_model_on_arrays(method):
    net, x = case("table")
    net, x = copy.deepcopy(net).cpu().eval(), x.cpu()

    def answers(rows):
        scores = net(torch.from_numpy(rows)).detach().numpy()
        return scores.argmax(1) if method.asks == "labels" else scores

    y = net(x).argmax(1).numpy()
    found = method(answers, x.numpy(), y, generator=torch.Generator().manual_seed(0))
    assert found.scores.isfinite().all()


@each()
def test_a_missing_value_is_refused(method):
    net, x = case("table")
    x[1, 2] = torch.nan
    with pytest.raises(InvalidInput, match="finite"):
        method(net, x)


def test_all_are_explainers_of_their_own_settings():
    assert all(isinstance(method, Explainer) for method in EXPLAINERS.values())
    assert set(METHODS) >= RANDOM - {"greedy-as"}
