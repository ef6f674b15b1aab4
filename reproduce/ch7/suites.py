"""What is explained: a model, examples that it predicts rightly, and what a feature of them is."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reproduce.ch7.photos import classifier, photos
from reproduce.ch7.texts import Spec, texts, trained
from reproduce.images import images
from reproduce.kept import digest_of, kept
from trustworthy.core.protocols import Classifier
from trustworthy.core.threat import Bounds
from trustworthy.explain import superpixels
from trustworthy.models import WordClassifier, split_words
from trustworthy.nn.backbones import BiLSTM, LeNet, SmallConvNet
from trustworthy.training import Engine, cross_entropy, fit
from trustworthy.training.weights import seeded

HERE = Path(__file__).parent
BUDGETS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "budgets.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Suite:
    """Rows to explain.

    x : (n, *shape). names : of the rows. words : of each text. background : other rows, for methods that take some.
    """

    model: Classifier
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    bounds: Bounds | None
    groups: Any = None
    names: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    class_names: tuple[str, ...] = ()
    background: Tensor | None = field(default=None, repr=False)


def suite(name: str, budget: dict[str, Any]) -> Suite:
    """A suite by its name. Raises NotRun and DataUnavailable."""
    return {"mnist": _mnist, "imagenet": _imagenet, "text": _text}[name](budget)


def _mnist(budget: dict[str, Any]) -> Suite:
    given = {"name": budget.get("source", "mnist"), "rows": budget["train"], "side": budget.get("side")}
    model = kept(_lenet)(given, budget["epochs"], digest_of((HERE / "suites.py",), ("nn", "training")))
    data = images(**given)
    right = (model(data.test_x[:500]).argmax(1) == data.test_y[:500]).nonzero().squeeze(1)[: budget["rows"]]
    return Suite(model=model, x=data.test_x[right], y=data.test_y[right], bounds=(0.0, 1.0), background=data.x[:200])


def _lenet(given: dict[str, Any], epochs: int, code: str) -> nn.Module:
    data = images(**given)
    model = seeded(partial(LeNet, image_size=data.x.shape[-1]), 0)
    how: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": 64,
        "optimizer": partial(torch.optim.Adam, lr=1e-3),
        "seed": 0,
    }
    fit(model, (data.x, data.y), loss=cross_entropy, engine=Engine(progress=False), **how)
    return model.eval()


def _imagenet(budget: dict[str, Any]) -> Suite:
    names, x = photos(budget["side"])
    names, x = names[: budget.get("photos")], x[: budget.get("photos")]
    untrained = budget.get("network") == "untrained"
    model = (
        seeded(partial(SmallConvNet, channels=3, classes=5, image_size=budget["side"]), 0).eval()
        if untrained
        else classifier()
    )
    with torch.no_grad():
        y = model(x).argmax(1)
    groups = superpixels(x, count=budget["superpixels"])
    return Suite(model=model, x=x, y=y, bounds=(0.0, 1.0), groups=groups, names=tuple(names))


def _text(budget: dict[str, Any]) -> Suite:
    model, texts, y = _untrained() if budget["network"] == "untrained" else _newsgroups(budget)
    x = model.embed(texts)
    with torch.no_grad():
        right = (model(x).argmax(1) == y).nonzero().squeeze(1)[: budget["rows"]]
    words = tuple(tuple(each) for each in model.words_of([texts[row] for row in right.tolist()]))
    return Suite(model=model, x=x[right], y=y[right], bounds=None, words=words, class_names=model.class_names)


def _newsgroups(budget: dict[str, Any]) -> tuple[WordClassifier, list[str], Tensor]:
    """The classifier, and some test texts that have as many known words as it reads."""
    spec = Spec(network=budget["network"], words=budget["words"])
    model, found = trained(spec).model.eval(), texts(spec)
    order = np.random.RandomState(0).permutation(len(found.test)).tolist()
    known = set(model.words)
    long = [row for row in order if sum(word in known for word in split_words(found.test[row])) >= spec.words]
    few = long[: 3 * budget["rows"]]
    return model, [found.test[row] for row in few], torch.from_numpy(found.y_test[few])


def _untrained() -> tuple[WordClassifier, list[str], Tensor]:
    """A network of random weights on drawn vectors of a few words, for tests: nothing is fetched."""
    words = ("the", "a", "of", "puck", "goal", "orbit", "moon", "engine", "brake", "wheel")
    vectors = torch.randn(len(words), 8, generator=torch.Generator().manual_seed(0))
    network = seeded(partial(BiLSTM, width=8, hidden=4, classes=3), 0)
    model = WordClassifier(network, words, vectors, class_names=("hockey", "space", "autos")).eval()
    lines = ["the puck of a goal", "a moon of the orbit the moon"]
    with torch.no_grad():
        return model, lines, model(model.embed(lines)).argmax(1)
