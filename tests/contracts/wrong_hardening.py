"""Networks, methods and arguments that cannot be hardened."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from contracts.wrong_inputs import (
    ACCURACY,
    ESTIMATOR,
    LABELS,
    PLAN,
    ROWS,
    Wrong,
    after,
    command,
    suggested,
    written,
    wrong,
)  # fmt: skip
from trustworthy.core.errors import InvalidInput, TrustworthyError, UnknownName
from trustworthy.datasets import Dataset
from trustworthy.models import Recipe
from trustworthy.nn.bayesian import to_bayesian
from trustworthy.report.hardening.harden import harden
from trustworthy.report.hardening.methods import PlainTraining

NET = """
import torch
from torch import nn

def net(classes=2):
    torch.manual_seed(0)  # a factory that brings its weights: no plain model is trained to begin with
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, classes))

def estimator():
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression()
"""


def hardened(model: Any = "net.py:net", data: Any = (ROWS, LABELS), out: str | None = None, **given: Any) -> Any:
    """Training with bounded ReLUs for one epoch, and an audit of accuracy alone; the network is that of `NET`."""
    written("net.py", NET)
    return harden(model, data, out, **({"methods": "brelu", "epochs": 1, "plan": PLAN, "kinds": ACCURACY} | given))


def refused(
    *says: str, right: Callable[[str], dict[str, Any]], kind: type[TrustworthyError] = InvalidInput, **given: Any
) -> Wrong:
    """Wrong arguments, and those that `right` gives in their place."""
    return wrong(
        lambda: hardened(out="out", **given), *says, kind=kind, right=lambda said: hardened(**(given | right(said)))
    )


def network(*before: nn.Module, after: tuple[nn.Module, ...] = ()) -> nn.Module:
    return nn.Sequential(*before, nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2), *after)


class Bare(nn.Module):
    """A network whose weights stand in no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.weight)


class Drawn(Bare):
    """The same, that can draw them anew."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(network())


def prices() -> Dataset:
    x = np.arange(18.0).reshape(9, 2)
    return Dataset(name="prices", task="regression", x_train=x, y_train=x[:, 0], x_test=x, y_test=x[:, 0])


def other_seed() -> None:
    hardened(out="kept")
    hardened(out="kept", seed=1)


CLEAN = lambda: network(nn.LayerNorm(5))  # noqa: E731 - noise is added to rows of one size
HARDENING = {
    "method": refused(
        "unknown method 'advesarial'; did you mean 'adversarial'?",
        kind=UnknownName,
        methods="advesarial",
        right=lambda said: {"methods": suggested(said)[1]},
    ),
    "no method": refused(
        "method must be given at least once, got none",
        "Known: ",
        methods=[],
        right=lambda said: {"methods": after("Known:")(said), "model": CLEAN()},
    ),
    "epochs": refused("epochs must be >= 1, got 0", epochs=0, right=lambda said: {"epochs": 1}),
    "eps": refused("eps must be > 0, got -0.1", eps=-0.1, methods="adversarial", right=lambda said: {"eps": 0.1}),
    "a name of its own": refused(
        "methods must name each defence by letters",
        "and not before, plain, parts, got 'parts'",
        methods={"parts": PlainTraining(epochs=1)},
        right=lambda said: {"methods": {"mine-1.2": PlainTraining(epochs=1)}},
    ),
    "a name that is a path": refused(
        "methods must name each defence by letters, digits, dots and dashes",
        "got '../a'; its folder is called so",
        methods={"../a": PlainTraining(epochs=1)},
        right=lambda said: {"methods": {"a": PlainTraining(epochs=1)}},
    ),
    "no defence": refused(
        "methods must hold defences by name, got str for 'mine'",
        "call trustworthy.defenses.METHODS['rse']",
        methods={"mine": "rse"},
        right=lambda said: {"methods": "rse", "model": CLEAN()},
    ),
    "nothing to randomise": refused(
        "model must have a convolution or a linear layer",
        model=Bare(),
        recipe=Recipe("net.py:net"),
        methods="rse",
        right=lambda said: {"model": CLEAN()},
    ),
    "no ReLU to bound": refused(
        "model must have an nn.ReLU to bound",
        "make it a module",
        model=Bare(),
        recipe=Recipe("net.py:net"),
        methods="brelu",
        right=lambda said: {"model": network()},
    ),
    "Bayesian already": refused(
        "to make Bayesian, got none",
        model=to_bayesian(network()),
        recipe=Recipe("net.py:net"),
        methods="svi",
        right=lambda said: {"model": network()},
    ),
    "weights that cannot be drawn": refused(
        "the weights of the model cannot be drawn anew, as Bare has no reset_parameters(); write one",
        model=Bare(),
        recipe=Recipe("net.py:net"),
        methods="adversarial",
        from_scratch=True,
        right=lambda said: {"model": Drawn()},
    ),
    "an estimator": refused(
        "MODEL must be package.module:factory or path/to/file.py:factory that returns an nn.Module",
        "got LogisticRegression, whose layers cannot be trained anew",
        model=ESTIMATOR,
        right=lambda said: {"model": "net.py:net"},
    ),
    "a factory of an estimator": refused(
        "must give a torch module, got LogisticRegression",
        model="net.py:estimator",
        right=lambda said: {"model": "net.py:net"},
    ),
    "TorchScript": refused(
        "got a TorchScript module, whose layers cannot be trained anew",
        model=scripted(),
        right=lambda said: {"model": network()},
    ),
    "a file": refused(
        "what a file holds is asked and not trained; name the function that builds the network",
        model="model.onnx",
        right=lambda said: {"model": "net.py:net"},
    ),
    "probabilities": refused(
        "the network must return logits (n, classes) with gradients to be trained",
        "remove the final softmax",
        model=network(after=(nn.Softmax(1),)),
        recipe=Recipe("net.py:net"),
        right=lambda said: {"model": network()},
    ),
    "a class without a logit": refused(
        "y must lie in 0..1 for 2 logits, got 2; give a model of all classes",
        data=(ROWS, np.arange(30) % 3),
        right=lambda said: {"options": {"classes": 3}},
    ),
    "options of a module": refused(
        "options are arguments of a factory",
        model=network(),
        recipe=Recipe("net.py:net"),
        options={"classes": 3},
        right=lambda said: {"options": None},
    ),
    "no recipe": refused(
        "out needs to know how the network is built again",
        "recipe=Recipe(factory, options)",
        model=network(),
        right=lambda said: {"recipe": Recipe("net.py:net"), "out": "right"},
    ),
    "no such weights": refused(
        "none.safetensors is not a file",
        "give the path",
        kind=TrustworthyError,
        weights="none.safetensors",
        right=lambda said: {"weights": None},
    ),
    "a regression": refused(
        "data must be a classification set, 'prices' is a regression; give data with classes",
        data=prices(),
        right=lambda said: {"data": (ROWS, LABELS)},
    ),
    "too few rows": refused(
        "data must have rows to train on and others to choose the epoch by, got 1; give more rows",
        data=Dataset(
            name="few", task="classification", x_train=ROWS[:1], y_train=LABELS[:1], x_test=ROWS, y_test=LABELS
        ),
        right=lambda said: {"data": (ROWS, LABELS)},
    ),
    "other settings": wrong(
        other_seed,
        "kept/brelu holds a network of other settings: seed was 0, is 1",
        "Choose another out, or delete that folder",
        right=lambda said: hardened(out="other", seed=1),
    ),
    "out is a file": wrong(
        lambda: hardened(out=written("file", "")),
        "out must be a folder, or a place for one, got 'file': it is a file",
        "Choose another",
        right=lambda said: hardened(out="right"),
    ),
    "no such factory": command(
        "harden net.py:nett --data breast-cancer --method rse --out out",
        "unknown factory in net.py 'nett'; did you mean 'net'?",
        before=lambda: written("net.py", NET),
        right=lambda said: hardened(f"net.py:{suggested(said)[1]}"),
    ),
    "an option without a value": command(
        "harden net.py:net --option classes --data breast-cancer --method rse --out out",
        "option must be NAME=VALUE, an argument of the factory, such as width=8, got 'classes'",
        right=lambda said: hardened(options={"classes": 3}),
    ),
    "no such file of data": command(
        "harden net.py:net --data none.csv --method rse --out out",
        "none.csv",
        before=lambda: written("net.py", NET),
        right=lambda said: hardened(),
    ),
}
