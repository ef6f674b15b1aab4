"""A network in a folder, fixed or stochastic: its weights, and in words how it is built, so that it loads anywhere.

`model.safetensors` has the weights. `model.json` has the factory that builds the network, its options, what was done
to the architecture since (`nn.TRANSFORMS`), a digest of the weights, and what the writer says of how it was made.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import CheckpointError, DataError, InvalidInput, ModelContractError, UnknownName
from trustworthy.core.files import atomic_write
from trustworthy.models.door import check_trusted
from trustworthy.models.factory import build_model
from trustworthy.nn import TRANSFORMS
from trustworthy.training.weights import assign_weights, first_few, model_tensors, read_tensors, write_tensors

WEIGHTS, WORDS = "model.safetensors", "model.json"
_FORMAT, _VERSION = "trustworthy model", 1
_OWN = "trustworthy.nn"
WORD_CLASSIFIER = "trustworthy.models.word_classifier:word_classifier"
"""The only factory outside of `trustworthy.nn` that needs no trust: it builds a network of it, from a recipe."""


@dataclass(frozen=True)
class Recipe:
    """How a network is built, in words that JSON holds.

    factory : "package.module:name" or "path/to/file.py:name" of a class or function that gives the network.
    options : its keyword arguments.
    transforms : what was done to the network since, in this order: names of `nn.TRANSFORMS` with their options, such
        as ("add_noise", {"sigma_init": 0.2}).

    Raises
    ------
    InvalidInput, UnknownName : the factory has no colon, options are not what JSON holds, no such transform.
    """

    factory: str
    options: dict[str, Any] = field(default_factory=dict)
    transforms: tuple[tuple[str, dict[str, Any]], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.factory, str) or not all(self.factory.rpartition(":")):
            raise InvalidInput(
                f"factory must be package.module:name or path/to/file.py:name, got {self.factory!r}; name the class "
                "or function that builds the network."
            )
        object.__setattr__(self, "options", _plain("options", self.options))
        steps = tuple((name, _plain(f"options of {name}", options)) for name, options in self.transforms)
        for name, _ in steps:
            checks.choice("transform", name, TRANSFORMS)
        object.__setattr__(self, "transforms", steps)

    def build(self, trust: bool = False) -> nn.Module:
        """The network with weights drawn from torch's global stream.

        Parameters
        ----------
        trust : whether code may run that is not a network of `trustworthy.nn`.

        Raises
        ------
        InvalidInput : the factory needs `trust`, or a transform refuses its options or this network.
        DataError, UnknownName : its module or file is gone, or has no such factory.
        ModelContractError : it refuses its options, or gives something that is not a torch module.
        """
        if not _is_own(self.factory):
            check_trusted(Path(self.factory), "code that builds a saved model", trust)
        model = build_model(self.factory, self.options)
        if not isinstance(model, nn.Module):
            raise ModelContractError(
                f"the factory {self.factory} must give a torch module, got {type(model).__name__}; return the network."
            )
        for name, options in self.transforms:
            try:
                model = TRANSFORMS[name](model, **options)
            except TypeError as error:
                raise InvalidInput(f"{name} refuses its options {options} ({error}); correct them.") from error
        return model


def save_posterior(
    model: nn.Module, folder: str | os.PathLike[str], recipe: Recipe, about: Mapping[str, Any] | None = None
) -> None:
    """Write `model` into `folder`, from where `load_model` reads it: with the same generator, the same answers.

    Both files are written, or none: the words take their place last, and do not load with other weights. The network
    is built once by the recipe to see that it is the one that is saved; torch's global stream does not move.

    Parameters
    ----------
    recipe : what builds `model` but for its weights. The file of a factory is kept relative to `folder` where it lies
        beneath it, so that the folder can be moved, and as an absolute path otherwise; a module is found again where
        it is installed, or from the working directory in which it lies.
    about : how the model was made, as JSON; `LoadedModel.about`.

    Raises
    ------
    InvalidInput : the recipe builds another network, or `about` is not what JSON holds; and all that
        `Recipe.build` raises.
    CheckpointError : the folder cannot be written, or the weights do not fit the recipe.
    """
    folder, said = Path(folder), _plain("about", {} if about is None else about)
    tensors = model_tensors(model)
    differing = _differences(model, _restored(recipe, tensors, "the model", trust=True))
    if differing:
        raise InvalidInput(
            f"recipe must build the network that is saved, and differs: {'; '.join(first_few(differing, 3))}. Name its "
            "options and transforms as the network was made; what is not in its state_dict, the factory must make."
        )
    words = {
        "format": _FORMAT, "version": _VERSION,
        "factory": _placed(recipe.factory, folder), "options": recipe.options, "transforms": recipe.transforms,
        "weights": digest(tensors), "about": said,
    }  # fmt: skip
    try:
        with atomic_write(folder / WORDS) as stream:
            stream.write(json.dumps(words, indent=2) + "\n")
            stream.flush()  # a full disk is met before the weights of an earlier model are replaced
            write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"{folder} could not be written ({error.strerror or error}); what was there before is unchanged. Free some "
            "space or choose another folder."
        ) from error


def is_posterior_folder(path: Path) -> bool:
    """Whether `save_posterior` wrote it, by the name of its file."""
    return (path / WORDS).is_file()


def load_posterior(folder: Path, *, trust: bool) -> tuple[nn.Module, Recipe, dict[str, Any]]:
    """The network in eval mode, on the CPU, in the precision of its weights; its recipe; what its writer said of it.

    Raises
    ------
    InvalidInput : the folder names code outside of `trustworthy.nn`, and is not trusted.
    DataError : `model.json` is damaged, of another format, or names what is gone; the weights are not those it knows.
    CheckpointError : the weights cannot be read, or do not fit the network.
    ModelContractError : the factory refuses its options.
    """
    recipe, weights, about = _read_words(folder)
    if not _is_own(recipe.factory):
        check_trusted(folder, f"a saved model that is built by {recipe.factory}", trust)
    tensors, _ = read_tensors(folder / WEIGHTS)
    if digest(tensors) != weights:
        raise DataError(
            f"{folder / WEIGHTS} holds other weights than {WORDS} was written for; save the model again, or restore "
            "both files from a copy."
        )
    try:
        model = _restored(recipe, tensors, folder / WEIGHTS, trust=trust)
    except (InvalidInput, DataError) as error:
        raise type(error)(
            f"{folder / WORDS} cannot be followed: {error} Correct it there, or save the model again."
        ) from error
    return model.eval(), recipe, about


def _read_words(folder: Path) -> tuple[Recipe, str, dict[str, Any]]:
    """The recipe, with the file of a factory where it lies; the digest of the weights; what the writer said."""
    path = folder / WORDS
    try:
        words = _of_our_format(path, json.loads(path.read_text(encoding="utf-8")))
        place, _, name = words["factory"].rpartition(":")
        factory = f"{folder / place}:{name}" if place.endswith(".py") else words["factory"]
        recipe = Recipe(factory, words["options"], tuple((name, given) for name, given in words["transforms"]))
        return recipe, words["weights"], _plain("about", words["about"])
    except UnknownName as error:
        raise DataError(f"{path} names what this release lacks: {error} Install the one that wrote it.") from None
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}: {error}); save the model again with save_posterior, or "
            "restore the file from a copy."
        ) from error


def _of_our_format(path: Path, words: Any) -> dict[str, Any]:
    if not isinstance(words, dict) or words.get("format") != _FORMAT:
        raise DataError(f"{path} is of another kind than save_posterior writes; give the folder of a saved model.")
    if words["version"] != _VERSION:
        raise DataError(
            f"{path} has version {words['version']} of its format, and this release reads {_VERSION}; install the "
            "release that wrote it."
        )
    return words


def _restored(recipe: Recipe, tensors: Mapping[str, Tensor], source: str | Path, *, trust: bool) -> nn.Module:
    """What the recipe builds, with these weights in their precision; the global stream is left where it was."""
    with torch.random.fork_rng(devices=[]):
        model = recipe.build(trust)
    types = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(types) == 1:
        model.to(types.pop())
    assign_weights(model, tensors, source)
    return model


def _is_own(factory: str) -> bool:
    """Whether it is a network of this package, the only code that a folder can name without being trusted.

    Not all that can be called in the package is harmless: it can read pickles, and import what it is told to.
    """
    place, _, name = factory.rpartition(":")
    if factory == WORD_CLASSIFIER:
        return True
    if not f"{place}.".startswith(f"{_OWN}."):
        return False
    try:
        found = getattr(importlib.import_module(place), name, None)
    except ImportError:
        return True  # it is gone, which is said where it is built
    return found is None or str(getattr(found, "__module__", "")).startswith(f"{_OWN}.")


def _placed(factory: str, folder: Path) -> str:
    place, _, name = factory.rpartition(":")
    if not place.endswith(".py"):
        return factory
    file, root = Path(place).resolve(), folder.resolve()
    return f"{(file.relative_to(root) if file.is_relative_to(root) else file).as_posix()}:{name}"


def _plain(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` as JSON gives it back, lists for tuples, so that a network is built alike before and after."""
    try:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise TypeError("it must be a dict with names")
        return json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{name} must be what JSON holds (numbers that are finite, texts, lists, dicts), got {value!r} ({error}); "
            "write a factory that makes the rest of such."
        ) from error


def _differences(model: nn.Module, built: nn.Module) -> list[str]:
    """One phrase for each layer or weight in which two networks differ by what they print of themselves."""
    saved, now = _described(model), _described(built)
    return [
        f"{name or 'the model'} is {saved.get(name, 'not there')}, the recipe builds {now.get(name, 'none')}"
        for name in dict.fromkeys((*saved, *now))
        if saved.get(name) != now.get(name)
    ]


def _described(model: nn.Module) -> dict[str, str]:
    layers = {
        name: re.sub(r" at 0x[0-9a-fA-F]+", "", f"{type(module).__name__}({module.extra_repr()})")
        for name, module in model.named_modules()
    }
    tensors = model_tensors(model)
    unsaved = {name: digest(value) for name, value in model.named_buffers() if name not in tensors}
    return layers | unsaved | {name: f"{value.dtype} {tuple(value.shape)}" for name, value in tensors.items()}
