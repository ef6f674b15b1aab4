"""Every posterior of the chapter, trained once and kept: tables and figures share them.

A method is trained for as many passes as any other. The first member of the naive ensemble is the single model, and the
seed of FastEnsemble, whose weight of the distance is chosen on validation rows.
"""

from __future__ import annotations

import time
import tomllib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reproduce.ch5.fields import Fields, fields
from reproduce.claim import SCALES
from reproduce.images import Images, images
from reproduce.kept import digest_of, kept
from trustworthy.core.errors import TrustworthyWarning
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import members_of
from trustworthy.core.seeds import derived_seed, torch_generator
from trustworthy.nn import backbones
from trustworthy.nn.unet import UNet
from trustworthy.training import Categorical, Engine, Laplace, Likelihood
from trustworthy.uncertainty import METHODS, FastEnsemble, Method

HERE = Path(__file__).parent
BUDGETS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))
CHOOSING_SEED = 42
"""Of the models that the weight of the distance is chosen by, for all seeds."""
NEARLY = {"images": 1.02, "classes": 1.0}
"""Times the least loss on the validation rows that the chosen weight of the distance may have. The error of the mean of
images sees no uncertainty, so some of it is given for members that lie apart; a likelihood sees it by itself."""
INPUTS = ("core", "nn", "training", "uncertainty", "datasets")
"""Parts of the library that a trained model depends on."""
quiet = Engine(progress=False)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Which posterior: of which scale, on which suite, by which method, with which seed.

    weight : of the distance of FastEnsemble; None for the chosen one.
    """

    scale: str
    suite: str
    method: str
    seed: int
    weight: float | None = None

    @property
    def kind(self) -> str:
        """ "images" for pairs of images, "classes" for a classification."""
        return BUDGETS[self.scale]["suites"][self.suite]["kind"]

    @property
    def common(self) -> dict[str, Any]:
        """What all suites of the kind share at this scale."""
        return BUDGETS[self.scale][self.kind]

    @property
    def budget(self) -> dict[str, Any]:
        """Everything that the training depends on but this spec."""
        data = dict(BUDGETS[self.scale]["suites"][self.suite])
        training = self.common["training"] | data.pop("training", {})
        method = dict(self.common["methods"].get(self.method, {}))
        network = self.common["network"] | data.pop("network", {}) | method.pop("network", {})
        return {"data": data, "training": training, "network": network, "method": method}

    @property
    def data(self) -> Fields | Images:
        """The rows of the budget. Raises NotRun and DataUnavailable."""
        about = {key: value for key, value in self.budget["data"].items() if key != "kind"}
        if self.kind == "images":
            return fields(about.pop("source", self.suite), **about)
        return images(about.pop("source", self.suite), **about, published=self.scale == SCALES[-1])

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """Rows to train on."""
        data = self.data
        return (data.train.x, data.train.y) if isinstance(data, Fields) else (data.x, data.y)

    @property
    def held(self) -> tuple[Tensor, Tensor]:
        """Rows to choose on."""
        data = self.data
        return (data.held.x, data.held.y) if isinstance(data, Fields) else (data.held_x, data.held_y)

    @property
    def loss(self) -> Likelihood:
        """The mean absolute error of the pixels, or the cross entropy."""
        return Laplace(average=True) if self.kind == "images" else Categorical()

    def network(self) -> nn.Module:
        """A network whose weights come from torch's global stream."""
        options, data = dict(self.budget["network"]), self.data
        if isinstance(data, Fields):
            return UNet(data.train.x.shape[1], data.train.y.shape[1], **options)
        build = getattr(backbones, options.pop("build"))
        return build(**data.shape, **options).to(memory_format=torch.channels_last)  # a third faster on a CPU


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A posterior.

    seconds : of the processor for its training; of FastEnsemble for its further members alone.
    warned : what the library said while it was trained.
    """

    model: Any
    seconds: float
    warned: tuple[str, ...] = ()


def method(spec: Spec) -> Method:
    """The method that trains a posterior."""
    settings = spec.budget["training"] | spec.budget["method"]
    if spec.method == "fast":
        settings["distance_weight"] = spec.weight
    return METHODS[spec.method](**settings, loss=spec.loss)


def fitted(spec: Spec) -> Fitted:
    """The posterior; "single" is the first member of the naive ensemble."""
    if spec.method == "single":
        naive = fitted(replace(spec, method="naive"))
        return Fitted(model=naive.model.members[0], seconds=naive.seconds / len(naive.model))
    if spec.method == "fast" and spec.weight is None:
        spec = replace(spec, weight=chosen(spec))
    return kept(_fitted)(spec, spec.budget, digest())


def _fitted(spec: Spec, budget: dict[str, Any], code: str) -> Fitted:
    trainer = method(spec)
    seed = derived_seed(spec.seed, spec.method)
    start = fitted(replace(spec, method="single", weight=None)).model if isinstance(trainer, FastEnsemble) else None
    started = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if isinstance(trainer, FastEnsemble):
            model = replace(trainer, epochs=0)(start, spec.rows, engine=quiet, seed=seed).model
        else:
            model = trainer.fit(spec.network, spec.rows, engine=quiet, seed=seed)
    warned = tuple(str(warning.message) for warning in caught if issubclass(warning.category, TrustworthyWarning))
    return Fitted(model=model, seconds=time.process_time() - started, warned=warned)


def chosen(spec: Spec) -> float:
    """The largest weight of the distance at which FastEnsemble has, on the validation rows, nearly the least loss.

    The members go as far apart as what is in the distribution allows. What is not in it is not looked at.
    """
    weights = spec.common["weights"]
    candidates = {weight: replace(spec, weight=weight, seed=CHOOSING_SEED) for weight in weights}
    losses = {weight: loss_of(candidate, *spec.held) for weight, candidate in candidates.items()}
    return max(weight for weight in weights if losses[weight] <= NEARLY[spec.kind] * min(losses.values()))


def loss_of(spec: Spec, x: Tensor, y: Tensor) -> float:
    """Mean absolute error of the mean prediction, or negative log-likelihood of the mean of the probabilities."""
    answers = asked(spec, x)
    if spec.kind == "images":
        return float((answers.mean - y).abs().mean())
    return float(spec.loss.nats(answers.logits, y).mean())


def asked(spec: Spec, x: Tensor) -> Predictive:
    """What all members, or as many draws as the budget says, answer."""
    model = fitted(spec).model
    draws = None if members_of(model) is not None or spec.method == "single" else spec.common["draws"][spec.method]
    return predict(model, x, draws=draws, generator=torch_generator(spec.seed, "asked"))


def cost(spec: Spec) -> float:
    """Processor seconds of training over those of one model."""
    single = fitted(replace(spec, method="single")).seconds
    return fitted(spec).seconds / single + (spec.method == "fast")


def digest(*, evaluation: bool = False) -> str:
    """Of the source that a posterior depends on; an evaluation depends on all of this chapter's."""
    own = HERE.glob("*.py") if evaluation else (HERE / "fields.py", HERE / "models.py")
    library = (*INPUTS, "metrics", "report/benchmark") if evaluation else INPUTS
    return digest_of(tuple(own), library)
