"""The classifiers of texts that the chapter explains, trained once and kept.

The dissertation's BiLSTM reads Yahoo! Answers, which no package carries: messages of 20 Newsgroups, or news stories of
Reuters-21578, stand in for them.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from reproduce.kept import digest_of, kept
from trustworthy.datasets.texts import Texts, load_texts
from trustworthy.datasets.word_vectors import word_vectors
from trustworthy.models import Recipe, WordClassifier, split_words
from trustworthy.training import Cosine, Engine, evaluate, fit
from trustworthy.training.weights import seeded

INPUTS = ("core", "nn", "training", "datasets", "models")
"""Parts of the library that a classifier depends on."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Which classifier.

    data : "newsgroups" (20 classes) or "reuters-r8" (8).
    network : "bilstm" or "transformer".
    rows : training texts and test texts at most; None for all.
    words : known words that a text is cut after, all of which explanations ask about.
    """

    data: str = "newsgroups"
    network: str = "bilstm"
    rows: int | None = None
    words: int = 80
    epochs: int = 8
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A classifier of texts.

    recipe : what `save_posterior` writes it with.
    accuracy : on the test texts.
    seconds : of the processor for its training.
    """

    model: WordClassifier = field(repr=False)
    recipe: Recipe = field(repr=False)
    accuracy: float
    seconds: float


def texts(spec: Spec) -> Texts:
    """The texts that it is trained and tested on."""
    return load_texts(spec.data, limit=spec.rows)


def trained(spec: Spec) -> Reader:
    """The classifier, on GloVe's vectors of the words of the training texts."""
    return kept(_trained)(spec, digest_of((Path(__file__),), INPUTS))


def _trained(spec: Spec, code: str) -> Reader:
    found, network = texts(spec), {"bilstm": _bilstm, "transformer": _transformer}[spec.network]
    recipe, rate = network(len(found.class_names))
    known = word_vectors(only={word for text in found.train for word in split_words(text)})
    model = WordClassifier(
        seeded(recipe.build, spec.seed), known.words, known.vectors, max_words=spec.words,
        class_names=found.class_names,
    )  # fmt: skip
    started = time.process_time()
    fit(
        model, (model.embed(found.train), found.y_train), epochs=spec.epochs, batch_size=64, schedule=Cosine(),
        optimizer=functools.partial(torch.optim.AdamW, lr=rate), engine=Engine(progress=False), seed=spec.seed,
    )  # fmt: skip
    seconds = time.process_time() - started
    accuracy = evaluate(model, (model.embed(found.test), found.y_test))["accuracy"]
    return Reader(model=model, recipe=model.recipe(recipe), accuracy=accuracy, seconds=seconds)


def _bilstm(classes: int) -> tuple[Recipe, float]:
    return Recipe("trustworthy.nn.backbones:BiLSTM", {"classes": classes, "dropout": 0.3}), 3e-3


def _transformer(classes: int) -> tuple[Recipe, float]:
    return Recipe("trustworthy.nn.backbones:WordTransformer", {"classes": classes, "dropout": 0.2}), 1e-3
