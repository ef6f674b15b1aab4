import dataclasses
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from trustworthy.attacks import PGD
from trustworthy.attacks.adversarial_loss import AdversarialCrossEntropy
from trustworthy.core.errors import InvalidInput
from trustworthy.training import Constant, Cosine, CropAndFlip, cross_entropy
from trustworthy.training.data import as_dataset
from trustworthy.training.description import describe_model, told
from trustworthy.training.identity import describe_data, describe_optimizer, differences
from trustworthy.training.weights import first_few

X, Y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])


def describe(value):
    return told("loss", value)


def digest(*parts):
    return describe_data(as_dataset("data", parts, nn.Linear(2, 2)))


@dataclass(frozen=True)
class Holding:
    held: Any

    def __call__(self, model, batch, moment):
        return self.held

    def method(self, model, batch, moment):
        return self.held


def doubled(loss: Callable) -> Callable:
    @functools.wraps(loss)
    def wrapper(*arguments):
        return 2 * loss(*arguments)

    return wrapper


@doubled
def decorated(model, batch, moment):
    return model(batch[0]).sum()


def test_a_setting_reads_the_same_in_every_process():
    assert describe(cross_entropy) == "trustworthy.training.losses.cross_entropy"
    assert describe(None) == "None"
    assert describe(Cosine(warmup=0.1)) == "trustworthy.training.schedules.Cosine(warmup=0.1, final=0.0)"
    assert describe(partial(torch.optim.SGD, 3, lr=0.1)) == "torch.optim.sgd.SGD(3, lr=0.1)"
    assert describe({"b": frozenset("xyz")}) == "{'b': frozenset('x', 'y', 'z')}"
    assert describe(np.float64(0.1)) == "0.1"
    assert describe(decorated) == f"{__name__}.decorated"
    assert describe(torch.tanh) == "torch._VariableFunctionsClass.tanh"
    assert describe(nn.functional.gelu) == "torch._C._nn.gelu"


@pytest.mark.parametrize("attributes", [{"__file__": "/some/where/mine.py"}, {"__spec__": ModuleSpec("mine", None)}])
def test_a_script_is_the_same_module_run_or_imported(attributes, monkeypatch):
    # `python mine.py` has a file and no spec, `python -m mine` a spec; a session in a terminal has neither.
    main = ModuleType("__main__")
    exec("def loss(): ...", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert describe(main.loss) == "__main__.loss"
    vars(main).update(attributes)
    assert describe(main.loss) == "mine.loss"


OTHERS = [
    *(AdversarialCrossEntropy(attack=PGD(eps=eps)) for eps in (0.1, 0.9, torch.full((2000,), 0.1))),
    *(Holding(value) for value in (1, 1.5, "1", None, True, (1,), [1], {1}, {1: 2}, torch.float32, Cosine, len)),
    *(Holding(torch.arange(2000.0) + shift) for shift in (0.0, 1e-4)),  # their reprs are the same
    *(Holding(np.arange(2000.0) + shift) for shift in (0.0, 1e-4)),
    *(Holding(partial(torch.clamp, max=most)) for most in (1, 2)),
    *(Holding(2).method, Holding(3).method, Holding(2)),
    *(CropAndFlip(padding=padding) for padding in (1, 2)),
    *(Cosine(), Constant(), cross_entropy),
]


def test_settings_that_differ_are_told_apart():
    assert len({describe(setting) for setting in OTHERS}) == len(OTHERS)
    assert [describe(setting) for setting in OTHERS] == [describe(setting) for setting in OTHERS]


def test_a_model_among_the_settings_is_known_by_its_weights_too():
    torch.manual_seed(0)
    teacher, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert describe(Holding(teacher)) != describe(Holding(other))
    other.load_state_dict(teacher.state_dict())
    assert describe(Holding(teacher)) == describe(Holding(other))


@dataclass
class Mutable:
    k: int = 1


class Opaque:
    def __call__(self):
        return None


class Inherited(Opaque):
    def __repr__(self):
        return f"<Inherited at {hex(id(self))}>"


UNTOLD = [
    (lambda model, batch, moment: None, "<lambda> of"),
    (doubled(cross_entropy), "cross_entropy of trustworthy.training.losses, which is not at the top of a module"),
    (partial(lambda k: k, 2), "<lambda> of"),
    (Holding(lambda x: x), "<lambda> of"),
    (Mutable(), "Mutable, a dataclass that is not frozen"),
    (Opaque(), "Opaque <.*> at 0x|Opaque .*, which does not show its settings"),
    (Inherited(), "Inherited <Inherited at 0x.*which does not show its settings"),
    (Opaque().__call__, "Opaque .*, which does not show its settings"),
    (torch.Generator(), "Generator .*, which does not show its settings"),
    (torch.Generator().manual_seed, "manual_seed of|Generator"),
    (nn.Linear(1, 1).forward, "forward of"),
    (dataclasses.make_dataclass("Local", [], frozen=True)(), "Local of"),
]


@pytest.mark.parametrize(("setting", "message"), UNTOLD)
def test_what_cannot_be_told_from_others_is_refused_with_the_remedy(setting, message):
    with pytest.raises(InvalidInput, match=f"loss must be .*, got .*({message}).*frozen dataclass with a __call__"):
        describe(setting)


def test_one_changed_value_changes_the_digest_of_the_data():
    changed = X.clone()
    changed[3, 1] = 1e-30
    assert digest(X, Y) == digest(X.clone(), Y.clone())
    assert digest(X, Y) == describe_data(TensorDataset(X, Y))
    assert len({digest(X, Y), digest(changed, Y), digest(X, 1 - Y), digest(X[:3], Y[:3]), digest(X, Y, Y)}) == 5


class Named(Dataset):
    def __init__(self, rows, fingerprint=None):
        self.rows, self.fingerprint = rows, fingerprint

    def __len__(self):
        return self.rows


def test_another_data_set_is_known_by_its_kind_length_and_fingerprint():
    assert describe_data(Named(4)) == f"{__name__}.Named of 4 items"
    assert describe_data(Named(4, "v2")) == f"{__name__}.Named of 4 items with fingerprint 'v2'"


class Scaled(nn.Module):
    """Holds settings that it does not print."""

    def __init__(self, sigma=1.0, act=torch.tanh, **more):
        super().__init__()
        self._sigma, self.act, self.seen = sigma, act, []
        for name, value in more.items():
            setattr(self, name, value)


class Ranked(Scaled):
    """Prints a setting that ends like the name and value of another."""

    def extra_repr(self):
        return f"rank={self.rank}"


class Printing(Scaled):
    def __repr__(self):
        return "Printing()"


MODELS = [
    nn.Linear(2, 2),
    nn.Linear(2, 3),
    nn.Linear(2, 2).double(),
    nn.Linear(2, 2).requires_grad_(False),
    nn.Sequential(nn.Linear(2, 2)),
    *(nn.Sequential(nn.Linear(2, 2), layer) for layer in (nn.ReLU(), nn.Tanh(), nn.Dropout(0.1), nn.Dropout(0.9))),
    nn.BatchNorm1d(2),
    nn.BatchNorm1d(2, momentum=0.2),
    nn.BatchNorm1d(2, track_running_stats=False),
    *(Scaled(sigma) for sigma in (0.1, 0.2, "0.1", None)),
    *(Printing(sigma) for sigma in (0.1, 0.2)),
    *(Ranked(rank=12, k=k) for k in (1, 12)),
    *(Scaled(act=act) for act in (torch.relu, nn.functional.relu, partial(torch.clamp, max=1))),
    *(Scaled(sizes=sizes) for sizes in ((1, 2), (2, 1), ((1, 2),))),
]


def test_models_differ_by_their_modules_and_whatever_these_hold():
    told_apart = {repr(describe_model(model)) for model in MODELS}
    assert len(told_apart) == len(MODELS)


def test_what_changes_in_use_is_no_difference():
    first, second = Scaled(), Scaled()
    second.seen.append(1)
    second.hidden = torch.ones(2)
    assert describe_model(first) == describe_model(second.eval())
    torch.manual_seed(1)
    assert describe_model(nn.BatchNorm1d(2)) == describe_model(nn.BatchNorm1d(2).eval())
    assert describe_model(nn.Linear(2, 2)) == describe_model(nn.Linear(2, 2))


def test_a_lambda_that_a_model_holds_is_refused():
    with pytest.raises(InvalidInput, match=r"act of 1 of the model must be .* got .*<lambda>"):
        describe_model(nn.Sequential(nn.ReLU(), Scaled(act=lambda x: x)))


def grouped(net, *groups):
    return torch.optim.SGD([{"params": group, **settings} for group, settings in groups], lr=0.1)


def test_optimizers_differ_by_their_settings_and_groups():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first, second = (list(layer.parameters()) for layer in net)
    built = [
        torch.optim.SGD(net.parameters(), lr=0.1),
        torch.optim.SGD(net.parameters(), lr=0.2),
        torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9),
        torch.optim.Adam(net.parameters(), lr=0.1),
        torch.optim.Adam(net.parameters(), lr=0.1, betas=(0.8, 0.9)),
        torch.optim.SGD(first, lr=0.1),
        grouped(net, (first, {"weight_decay": 0.1}), (second, {})),
        grouped(net, (second, {"weight_decay": 0.1}), (first, {})),
    ]
    assert len({repr(describe_optimizer(optimizer, net)) for optimizer in built}) == len(built)
    assert describe_optimizer(built[0], net) == describe_optimizer(torch.optim.SGD(net.parameters(), lr=0.1), net)


def test_differences_name_what_changed():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b was 2, is 3", "c was nothing, is 4"]
    saved, now = {"model": {"": "Net", "0": "ReLU()"}}, {"model": {"": "Net", "0": "Tanh()"}}
    assert differences(saved, now) == ["model 0 was ReLU(), is Tanh()"]
    many = first_few(differences({}, {str(number): number for number in range(20)}))
    assert many[-2:] == ["7 was nothing, is 7", "and 12 more"]
