"""Stochastic models through one seam: draws, the guard around them, and what many draws answer together."""

import functools
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.attacks import PGD
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.guard import reachable_modules, undisturbed
from trustworthy.core.predictive import AT_ONCE, Predictive, predict
from trustworthy.core.protocols import Posterior, Wrapped, as_posterior, drawn


class Members:
    """An ensemble of linear maps, given in turn."""

    def __init__(self, *weights):
        self.nets = nn.ModuleList([linear(weight) for weight in weights])

    def draws(self, count, generator=None):
        return (self.nets[i % len(self.nets)] for i in range(count))

    def modules(self):
        return self.nets.modules()


class Broken(Members):
    def __init__(self, nets):
        self.nets = nn.ModuleList(nets)

    def draws(self, count, generator=None):
        return iter(self.nets)


def linear(weight):
    layer = nn.Linear(2, len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


LEFT, RIGHT = [[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, -1.0]]
X = torch.tensor([[1.0, 2.0], [0.5, 0.25], [0.0, 1.0]])


def net():
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()


@dataclass(frozen=True, eq=False)
class Holder:
    inner: nn.Module

    def __call__(self, x):
        return self.inner(x)


class Hidden(nn.Module):
    """A module that keeps another out of the sight of `modules()`."""

    def __init__(self, inner):
        super().__init__()
        self.kept = [inner]

    def forward(self, x):
        return self.kept[0](x)


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner

    def answer(self, x):
        return self.inner(x)


GLOBAL = net()


def through_a_global(x):
    return (lambda z: GLOBAL(z))(x)


def default(x, inner=None):
    return inner(x)


def with_attribute(inner):
    def function(x):
        return function.inner(x)

    function.inner = inner
    return function


# Decorators of another file: what their helpers find among its globals is none of the model's.
DECORATORS: dict = {"__name__": "decorators", "remembered": [net()]}
exec(
    """
import functools

def remember(function):
    remembered.append(function)

def after(inner):
    def decorator(function):
        def helper(x):
            remember(function)
            return inner(function(x))
        return functools.wraps(function)(lambda x: helper(x))
    return decorator

remembering = after(lambda x: x)
""",
    DECORATORS,
)

WRAPPINGS = {
    "module": lambda m: m,
    "dataclass": Holder,
    "hidden in a module": Hidden,
    "closure": lambda m: lambda x: m(x),
    "closure in a closure": lambda m: lambda x: (lambda z: m(z))(x),
    "bound method": lambda m: Slotted(m).answer,
    "partial": lambda m: functools.partial(default, inner=m),
    "default": lambda m: eval("lambda x, inner=m: inner(x)", {"m": m}),
    "items": lambda m: lambda x, table={"a": [m]}: table["a"][0](x),
    "posterior": lambda m: as_posterior(Holder(m)),
    "decorated": lambda m: DECORATORS["remembering"](lambda x: m(x)),
    "in a decorator": lambda m: DECORATORS["after"](m)(lambda x: x),
    "attribute of a function": lambda m: with_attribute(m),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_guarded_call_leaves_every_module_as_it_was(wrapping):
    inner = net()
    inner[2].eval()  # modes differ from module to module
    before = {name: value.clone() for name, value in inner.state_dict().items()}
    PGD(eps=0.1, steps=2)(WRAPPINGS[wrapping](inner), X.clamp(0, 1), torch.tensor([0, 1, 1]))
    assert [module.training for module in inner] == [True, True, False]
    for name, value in inner.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_module_that_a_function_finds_among_the_globals_is_guarded():
    before = GLOBAL[1].running_mean.clone()
    with undisturbed(through_a_global, X, None):
        through_a_global(X)
    assert torch.equal(GLOBAL[1].running_mean, before)
    assert GLOBAL.training


def test_modes_come_back_after_an_error():
    inner = net()
    seen = []

    def fails(x):
        seen.append(inner.training)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        predict(fails, X)
    assert seen == [False]
    assert inner.training


def test_what_a_decorator_keeps_for_itself_is_not_searched():
    inner = net()
    assert set(reachable_modules(WRAPPINGS["decorated"](inner))) == set(inner.modules())


def test_a_circle_of_references_ends():
    inner = net()
    loop: list = [inner]
    loop.append(loop)
    assert inner in reachable_modules(loop)


def test_an_ensemble_gives_its_members_in_turn():
    found = predict(Members(LEFT, RIGHT), X, draws=4, batch_size=2)
    a, b = X @ torch.tensor(LEFT).T, X @ torch.tensor(RIGHT).T
    assert_close(found.members, torch.stack([a, b, a, b]))
    assert_close(found.mean, (a + b) / 2)
    assert_close(found.std, (a - b).abs() / 2)
    assert_close(found.probabilities, (a.softmax(1) + b.softmax(1)) / 2)
    assert_close(found.logits.exp(), (a.softmax(1) + b.softmax(1)) / 2)


def test_one_draw_is_answered_as_it_is():
    found = predict(linear(LEFT), X)
    assert torch.equal(found.logits, X)
    assert torch.equal(found.std, torch.zeros_like(X))


def test_a_draw_is_one_function_for_all_batches():
    class RandomWeight:
        def draws(self, count, generator=None):
            return (linear(torch.randn(2, 2).tolist()) for _ in range(count))

        def modules(self):
            return ()

    seeded = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    whole = predict(RandomWeight(), X, draws=3, generator=seeded())
    parts = predict(RandomWeight(), X, draws=3, batch_size=1, generator=seeded())
    assert_close(whole.members, parts.members)
    assert not torch.equal(whole.members[0], whole.members[1])


def test_predict_leaves_the_global_stream_alone():
    noisy = lambda x: x + torch.randn_like(x)  # noqa: E731
    state = torch.get_rng_state()
    first, again = (predict(noisy, X, draws=2, generator=torch.Generator().manual_seed(0)).members for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_are_predicted_as_they_are():
    images = torch.rand(5, 1, 4, 4)
    found = predict(lambda x: 2 * x, images, batch_size=2)
    assert_close(found.mean, 2 * images)


@pytest.mark.parametrize("given", [1, 3])
def test_another_number_of_draws_than_asked_is_refused(given):
    model = Broken([linear(LEFT) for _ in range(given)])
    for ask in (lambda: list(drawn(model, 2)), lambda: predict(model, X, draws=2)):
        with pytest.raises(ModelContractError, match=r"draws\(2\) of Broken gave"):
            ask()
    with pytest.raises(ModelContractError, match="exactly as many as asked"):
        PGD(eps=0.1, steps=1, eot=2)(model, X.clamp(0, 1), torch.tensor([0, 1, 1]))


def test_draws_of_different_shapes_are_refused():
    model = Broken([linear(LEFT), linear([*LEFT, [0.0, 0.0]])])
    with pytest.raises(ModelContractError, match=r"\(3, 2\) and \(3, 3\).*same outputs"):
        predict(model, X, draws=2)
    with pytest.raises(ModelContractError, match="same outputs"):
        PGD(eps=0.1, steps=1, eot=2)(model, X.clamp(0, 1), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("draws", [0, -1])
def test_draws_must_be_a_whole_number_from_one_on(draws):
    with pytest.raises(InvalidInput, match="draws must be"):
        predict(linear(LEFT), X, draws=draws)


@pytest.mark.parametrize("answer", [lambda x: x[:1], lambda x: x.sum(), lambda x: None])
def test_an_answer_without_a_row_for_each_input_is_refused(answer):
    with pytest.raises(ModelContractError, match="one row for each of 3 inputs"):
        predict(answer, X)


def test_what_cannot_be_called_is_no_model():
    with pytest.raises(ModelContractError, match="must be callable, got int"):
        as_posterior(3)
    assert isinstance(Members(LEFT), Posterior)
    assert not isinstance(linear(LEFT), Posterior)


def test_more_draws_in_an_attack_average_an_ensemble_exactly():
    """Two members whose gradients cancel in the first coordinate: only both together point the right way."""
    model = Members([[2.0, 1.0], [0.0, 0.0]], [[-2.0, 1.0], [0.0, 0.0]])
    x, y = torch.full((1, 2), 0.5), torch.tensor([0])
    moved = PGD(eps=0.1, steps=1, step_size=0.1, random_start=False, loss="margin", eot=2, norm="l2")(model, x, y)
    assert_close(moved.adversarial - x, torch.tensor([[0.0, -0.1]]))


def test_predictive_statistics_are_those_of_the_draws():
    members = torch.rand(4, 3, 2, 2)
    assert_close(Predictive(members).std, members.std(0, correction=0))


class Noise(nn.Module):
    """Adds noise whenever it is asked; `look`: looks at a number, which one pass for several draws cannot."""

    draws_together = True

    def __init__(self, look=False):
        super().__init__()
        self.look, self.calls = look, 0

    def forward(self, x):
        self.calls += 1
        noisy = x + torch.randn_like(x)
        return noisy if not self.look or noisy.sum().isfinite().item() else x


class OneByOne(Noise):
    draws_together = False


def test_several_draws_are_asked_in_one_pass_and_are_independent():
    noise = Noise()
    members = predict(noise, torch.zeros(3, 2), draws=4000, generator=seeded()).members
    assert members.shape == (4000, 3, 2)
    assert noise.calls <= 3  # one to see that it can be done
    flat = members.flatten(1).double()
    assert_close(flat.mean(0), torch.zeros(6).double(), atol=0.08, rtol=0)
    assert_close(flat.T.cov(), torch.eye(6).double(), atol=0.1, rtol=0)
    assert_close(predict(noise, torch.zeros(3, 2), draws=4000, generator=seeded()).members, members, atol=0, rtol=0)


def test_what_one_pass_holds_is_bounded(monkeypatch):
    monkeypatch.setitem(AT_ONCE, "cpu", 48)
    noise = Noise()
    members = predict(noise, torch.zeros(5, 2), draws=20, batch_size=3, generator=seeded()).members
    assert members.shape == (20, 5, 2)
    assert len(members.unique()) == 200
    assert noise.calls == 1 + 2 * 3  # two batches, and of twenty draws eight at once
    monkeypatch.setitem(AT_ONCE, "cpu", 47)
    predict(noise, torch.zeros(5, 2), draws=20, batch_size=3, generator=seeded())
    assert noise.calls == 7 + 2 * 20


@pytest.mark.parametrize("model", [OneByOne(), Noise(look=True)])
def test_a_network_that_one_pass_would_ask_wrongly_is_asked_draw_by_draw(model):
    members = predict(model, torch.zeros(3, 2), draws=4, generator=seeded()).members
    assert len(members.unique()) == 24
    assert model.calls >= 4


def test_a_wrapped_posterior_asks_in_one_pass_too_and_puts_each_question_once():
    noise = Noise()
    doubled = Wrapped(as_posterior(noise), lambda predictor, x: predictor(2 * x) + predictor(x))
    members = predict(doubled, torch.full((3, 2), 100.0), draws=6, generator=seeded()).members
    assert noise.calls == 4
    assert len(members.unique()) == 36
    assert_close(members.mean(0), torch.full((3, 2), 300.0), atol=3, rtol=0)


def seeded():
    return torch.Generator().manual_seed(0)
