"""Networks in folders that cannot be saved, read or built again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contracts.wrong_inputs import Wrong, after, written, wrong
from trustworthy.core.errors import CheckpointError, DataError, InvalidInput, ModelContractError, UnknownName
from trustworthy.models import Recipe, load_model, save_posterior

FACTORY = "trustworthy.nn.backbones:MLP"
OPTIONS = {"features": 3, "classes": 2, "hidden": [4]}
MLP = Recipe(FACTORY, OPTIONS, (("add_noise", {"sigma_init": 0.3}),))
OWN = "from torch import nn\n\ndef net(size=3):\n    return nn.Linear(size, 2)\n"


def saved(recipe: Recipe = MLP) -> Path:
    """A network that is saved in the folder kept."""
    save_posterior(recipe.build(trust=True), "kept", recipe)
    return Path("kept")


def own() -> Path:
    """The same, built by own.py, which does not lie beneath it."""
    return saved(Recipe(f"{written('own.py', OWN)}:net", {"size": 3}))


def edit(**words: Any) -> None:
    """Write other words into model.json."""
    path = Path("kept/model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | words))


def again(said: str) -> Any:
    """The model is saved once more."""
    saved()
    return load_model("kept")


def rewritten(**words: Any) -> Callable[[str], Any]:
    """What the message says is corrected in model.json."""

    def right(said: str) -> Any:
        edit(**words)
        return load_model("kept", trust=True)

    return right


def read(
    damage: Callable[[Path], Any],
    *says: str,
    of: Callable[[], Path] = saved,
    kind: Any = DataError,
    right: Callable[[str], Any] | None = again,
    trust: bool = True,
) -> Wrong:
    """A folder that something happened to."""

    def call() -> None:
        damage(of())
        load_model("kept", trust=trust)

    return wrong(call, *says, kind=kind, right=right)


def moved(said: str) -> Any:
    """The file of the factory lies where the words say."""
    return written("own.py", OWN), load_model("kept", trust=True)


def trusted(said: str) -> Any:
    key, given = after("(in Python:")(said).split("=")
    taken: dict[str, Any] = {key: given == "True"}
    return load_model("kept", **taken)


def recipe(*says: str, right: Any, kind: Any = InvalidInput, **given: Any) -> Wrong:
    """A wrong recipe, and one that builds a network."""
    fields = {"factory": FACTORY, "options": OPTIONS}
    return wrong(
        lambda: Recipe(**(fields | given)).build(),
        *says,
        kind=kind,
        right=lambda said: Recipe(**(fields | right)).build(),
    )


SAVED = {
    "no words": read(lambda folder: written("kept/model.json", ""), "kept/model.json is damaged", "save the model"),
    "cut words": read(
        lambda folder: written("kept/model.json", (folder / "model.json").read_bytes()[:40]),
        "kept/model.json is damaged (JSONDecodeError",
        "save the model again with save_posterior, or restore",
    ),
    "words without a field": read(
        lambda folder: written("kept/model.json", '{"format": "trustworthy model", "version": 1}'),
        "kept/model.json is damaged (KeyError: 'factory')",
        "save the model again",
    ),
    "words of another kind": read(
        lambda folder: written("kept/model.json", '{"class_name": "Sequential"}'),
        "kept/model.json is of another kind than save_posterior writes",
        "give the folder of a saved model",
    ),
    "a later format": read(
        lambda folder: edit(version=2), "has version 2 of its format, and this release reads 1", "install the release"
    ).but("there is no later release"),
    "an unknown transform in a folder": read(
        lambda folder: edit(transforms=[["add_nois", {}]]),
        "kept/model.json names what this release lacks: unknown transform 'add_nois'; did you mean 'add_noise'?",
        "Install the one that wrote it",
        right=rewritten(transforms=[["add_noise", {}]]),
    ),
    "options that a transform refuses": read(
        lambda folder: edit(transforms=[["add_noise", {"sgima": 0.1}]]),
        "kept/model.json cannot be followed: add_noise refuses its options {'sgima': 0.1}",
        "correct them",
        kind=InvalidInput,
        right=rewritten(transforms=[["add_noise", {"sigma_init": 0.1}]]),
    ),
    "a transform out of range": read(
        lambda folder: edit(transforms=[["add_noise", {"sigma_init": -1}]]),
        "kept/model.json cannot be followed: sigma_init must be >= 0, got -1",
        "Correct it there",
        kind=InvalidInput,
        right=rewritten(transforms=[["add_noise", {"sigma_init": 1}]]),
    ),
    "options that a factory refuses": read(
        lambda folder: edit(options={"features": 3, "klasses": 2}),
        "kept/model.json cannot be followed: the factory trustworthy.nn.backbones:MLP raised",
        "it was called with {'features': 3, 'klasses': 2}: correct these options",
        kind=ModelContractError,
        right=rewritten(options=OPTIONS),
    ),
    "a factory whose file is gone": read(
        lambda folder: Path("own.py").unlink(),
        "kept/model.json cannot be followed: there is no file",
        "own.py to build the model from",
        "Correct it there",
        of=own,
        right=moved,
    ),
    "a factory whose name is gone": read(
        lambda folder: written("own.py", OWN.replace("net", "network")),
        "kept/model.json cannot be followed: unknown factory in",
        "'net'; did you mean 'network'?",
        of=own,
        kind=UnknownName,
        right=moved,
    ),
    "a factory whose module is gone": read(
        lambda folder: edit(factory="nowhere.at.all:net"),
        "kept/model.json cannot be followed: there is no module 'nowhere.at.all'",
        "install the package that has it",
        right=rewritten(factory=FACTORY),
    ),
    "a network of the house that is gone": read(
        lambda folder: edit(factory="trustworthy.nn.backbones:MLPs"),
        "unknown factory in trustworthy.nn.backbones 'MLPs'; did you mean 'MLP'?",
        kind=UnknownName,
        trust=False,
        right=rewritten(factory=FACTORY),
    ),
    "a saved model without trust": read(
        lambda folder: None,
        "kept is a saved model that is built by",
        "own.py:net",
        "add --trust (in Python: trust=True)",
        of=own,
        kind=InvalidInput,
        trust=False,
        right=trusted,
    ),
    "weights that are gone": read(
        lambda folder: (folder / "model.safetensors").unlink(),
        "kept/model.safetensors is not a file",
        "give the path",
        kind=CheckpointError,
    ),
    "damaged weights of a saved model": read(
        lambda folder: written("kept/model.safetensors", b"12345"),
        "kept/model.safetensors cannot be read as safetensors",
        "Write it again",
        kind=CheckpointError,
    ),
    "weights of another saved model": read(
        lambda folder: (
            (words := (folder / "model.json").read_bytes()),
            saved(),
            written("kept/model.json", words),
        ),
        "kept/model.safetensors holds other weights than model.json was written for",
        "save the model again, or restore both files",
    ),
    "weights that do not fit the words": read(
        lambda folder: edit(options=OPTIONS | {"hidden": [5]}),
        "the weights in kept/model.safetensors do not fit the model: of another shape",
        "Build the model with the arguments it was trained with",
        kind=CheckpointError,
        right=rewritten(options=OPTIONS),
    ),
    "a factory without a name": recipe(
        "factory must be package.module:name or path/to/file.py:name, got 'MLP'",
        "name the class or function",
        factory="MLP",
        right={"factory": FACTORY},
    ),
    "options of no JSON": recipe(
        "options must be what JSON holds",
        "write a factory that makes the rest of such",
        options=OPTIONS | {"hidden": np.array([4])},
        right={"options": OPTIONS},
    ),
    "an unknown transform": recipe(
        "unknown transform 'noise'",
        "Known: add_noise",
        transforms=(("noise", {}),),
        kind=UnknownName,
        right={"transforms": (("add_noise", {}),)},
    ),
    "a factory of no network": wrong(
        lambda: Recipe("argparse:Namespace").build(trust=True),
        "the factory argparse:Namespace must give a torch module, got Namespace",
        "return the network",
        kind=ModelContractError,
        right=lambda said: Recipe(f"{written('own.py', OWN)}:net").build(trust=True),
    ),
    "a recipe of another network": wrong(
        lambda: save_posterior(MLP.build(), "out", Recipe(FACTORY, OPTIONS)),
        "recipe must build the network that is saved, and differs: layers.1.noise is GaussianNoise(sigma=0.3), the "
        "recipe builds none",
        "Name its options and transforms",
        right=lambda said: save_posterior(MLP.build(), "kept", MLP),
    ),
    "what is about a model and no JSON": wrong(
        lambda: save_posterior(MLP.build(), "out", MLP, {"accuracy": float("nan")}),
        "about must be what JSON holds (numbers that are finite",
        "got {'accuracy': nan}",
        right=lambda said: save_posterior(MLP.build(), "kept", MLP, {"accuracy": None}),
    ),
    "a folder that is a file": wrong(
        lambda: save_posterior(MLP.build(), written("kept", "mine"), MLP),
        "kept could not be written (File exists)",
        "choose another folder",
        kind=CheckpointError,
        right=lambda said: save_posterior(MLP.build(), "another", MLP),
    ),
}
