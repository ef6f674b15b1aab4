"""Every trained model of the chapter, kept: tables and figures share them, and all had the same budget."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reproduce.claim import SCALES
from reproduce.images import Images, images
from reproduce.kept import digest_of, kept
from trustworthy.core.seeds import derived_seed
from trustworthy.defenses import (
    AdversarialBayes,
    AdversarialTraining,
    BoundedReLUTraining,
    DefensiveDistillation,
    RandomSelfEnsemble,
)
from trustworthy.nn import add_noise, backbones
from trustworthy.nn.jump_sde import JumpSDE, jump_sde
from trustworthy.training import Engine
from trustworthy.uncertainty import SVI, Method, Trained

HERE = Path(__file__).parent
BUDGETS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))
RADIUS = 8 / 256
"""Of adversarial training (II), Table 2.1, and of Adv-BNN beside it."""
INPUTS = ("core", "nn", "training", "attacks", "defenses", "integrate", "uncertainty")
"""Parts of the library that a trained or attacked model depends on."""


@dataclass(frozen=True, kw_only=True)
class Plain(Method):
    """No defence: the same loop and the same choice of the epoch."""


DEFENCES: dict[str, tuple[Callable[..., Method], dict[str, Any]]] = {
    "none": (Plain, {}),
    "rse": (RandomSelfEnsemble, {"sigma_init": 0.2, "sigma_inner": 0.1}),
    "rse-resnext": (RandomSelfEnsemble, {"sigma_init": 0.1, "sigma_inner": 0.1}),
    "rse-0.05-0.02": (RandomSelfEnsemble, {"sigma_init": 0.05, "sigma_inner": 0.02}),
    "rse-0.1-0.05": (RandomSelfEnsemble, {"sigma_init": 0.1, "sigma_inner": 0.05}),
    "distillation": (DefensiveDistillation, {"temperature": 40.0}),
    "brelu": (BoundedReLUTraining, {"sigma": 0.05}),
    "adversarial-1": (AdversarialTraining.fgsm, {"low": 0.1, "high": 0.3}),
    "adversarial-2": (AdversarialTraining.pgd, {"eps": RADIUS}),
    "bnn": (SVI, {}),
    "adv-bnn": (AdversarialBayes, {"eps": RADIUS}),
}
"""The settings of Table 2.1, eq. (2.13) and section 2.2.3; a budget may add to them."""
NOISES: dict[str, tuple[str, dict[str, Any]]] = {
    "ode": ("none", {}),
    "additive": ("additive", {"sigma": 0.2}),
    "multiplicative": ("multiplicative", {"sigma": 0.2}),
    "dropout": ("gaussian-dropout", {"p": 0.2}),
}
"""Noise of the networks of section 2.3.4; p = 0.2 is the 0.5 f(h) of the released code."""
DEFENCES |= dict.fromkeys(NOISES, (Plain, {}))
NETWORKS: dict[str, Callable[..., nn.Module]] = {name: getattr(backbones, name) for name in backbones.__all__}
NETWORKS["jump_sde"] = jump_sde


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Which model: of which scale, on which data set, of which network, by which method, with which seed."""

    scale: str
    data: str
    network: str
    method: str
    seed: int

    @property
    def budget(self) -> dict[str, Any]:
        """Everything that the training depends on but this spec."""
        whole = BUDGETS[self.scale]
        own = {"data": whole["data"][self.data], "network": whole["networks"][self.network]}
        method = dict(whole.get("methods", {}).get(self.method, {}))
        training = whole["training"] | own["data"].get("training", {})
        training["warm"] = method.pop("warm", training["warm"])
        return own | {"training": training, "method": method}

    @property
    def images(self) -> Images:
        """The rows of the budget. Raises NotRun and DataUnavailable."""
        return self.tested(self.budget["data"]["points"])

    def tested(self, points: int) -> Images:
        """The same with so many test rows."""
        about: dict[str, Any] = {"rows": None, "held": 0, "side": None, "source": self.data}
        about |= {key: value for key, value in self.budget["data"].items() if key in about}
        return images(about.pop("source"), **about, points=points, published=self.scale == SCALES[-1])


def defence(spec: Spec) -> Method:
    """The defence that trains a model."""
    settings = dict(spec.budget["training"])
    warm = settings.pop("warm")
    if spec.method == "warm":
        return Plain(**settings | {"epochs": warm})
    build, own = DEFENCES[spec.method]
    return build(**settings | own | spec.budget["method"])


def trained(spec: Spec) -> Trained:
    """The model and how it was trained; with `warm` passes, all start from one plain network trained for so many."""
    return kept(_trained)(spec, spec.budget, digest())


def _trained(spec: Spec, budget: dict[str, Any], code: str) -> Trained:
    warm = spec.method != "warm" and budget["training"]["warm"] > 0
    start = trained(replace(spec, method="warm")).model if warm else fresh(spec)
    rows = spec.images
    seed = derived_seed(spec.seed, spec.method)
    return defence(spec)(
        start, (rows.x, rows.y), validation=(rows.held_x, rows.held_y), engine=Engine(progress=False), seed=seed
    )


def fresh(spec: Spec) -> nn.Module:
    """A network with new weights."""
    options = dict(spec.budget["network"])
    build = NETWORKS[options.pop("build")]
    if build is jump_sde:
        noise, settings = NOISES[spec.method]
        options |= {"noise": noise, "noise_options": settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(spec.seed, "weights"))
        return build(**spec.images.shape, **options)


def model(spec: Spec) -> nn.Module:
    """A model as it is asked: the noise of the training may be gone, and noise may come only now (Figure 2.2)."""
    change = CHANGES.get(spec.method)
    if change is None:
        return trained(spec).model
    return change(spec)


def _quiet(spec: Spec) -> nn.Module:
    """RSE without noise: its weights in the plain network."""
    plain = fresh(spec)
    plain.load_state_dict(trained(replace(spec, method="rse")).model.state_dict())
    return plain.eval()


def _noisy(spec: Spec) -> nn.Module:
    """The plain network with the noise of RSE, which it was not trained with."""
    _, sigmas = DEFENCES["rse"]
    return add_noise(trained(replace(spec, method="none")).model, **sigmas)


def _with_test_noise(spec: Spec) -> nn.Module:
    return trained(replace(spec, method=spec.method.removesuffix(TTN))).model


def _without_test_noise(spec: Spec) -> nn.Module:
    net = copy.deepcopy(trained(spec).model)
    assert isinstance(net, JumpSDE)
    net.test_time_noise = False
    return net


TTN = "-ttn"
"""End of the name of a method that draws when it is tested (testing time noise)."""
CHANGES: Mapping[str, Callable[[Spec], nn.Module]] = {
    "rse-train-only": _quiet,
    "rse-test-only": _noisy,
    **dict.fromkeys(NOISES, _without_test_noise),
    **{f"{name}{TTN}": _with_test_noise for name in NOISES},
}


def digest(*, evaluation: bool = False) -> str:
    """Of the source that a trained model depends on; an evaluation depends on all of this chapter's."""
    own = HERE.glob("*.py") if evaluation else [HERE / "models.py"]
    return digest_of((*own, HERE.parent / "images.py"), INPUTS)
