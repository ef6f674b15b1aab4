"""A model from what people have: a file, a folder, or a function that builds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.models.factory import build_model
from trustworthy.models.huggingface import load_folder
from trustworthy.models.names import Label
from trustworthy.models.onnx_file import OnnxModel, load_onnx
from trustworthy.models.pickles import load_pickle, load_skops
from trustworthy.models.posterior_folder import Recipe, is_posterior_folder, load_posterior
from trustworthy.models.torch_files import load_torch

_READERS: dict[str, Callable[..., Any]] = {
    ".joblib": load_pickle, ".pkl": load_pickle, ".pickle": load_pickle, ".skops": load_skops, ".onnx": load_onnx,
    ".pt": load_torch, ".pth": load_torch, ".pt2": load_torch, ".safetensors": load_torch,
}  # fmt: skip
_ELSEWHERE = {
    ".py": "name the function in it that builds the model, FILE.py:factory",
    **dict.fromkeys([".h5", ".keras", ".pb", ".tflite", ".mlmodel"], "export it to ONNX"),
    **dict.fromkeys(
        [".json", ".ubj", ".bst", ".cbm", ".txt"],
        "load it through the scikit-learn interface of its library and write that with joblib.dump",
    ),
}
MODELS = (
    "a file (.joblib, .pkl, .skops, .onnx, .pt, .pt2), a folder of a saved or of a Hugging Face model, "
    "package.module:factory or path/to/file.py:factory"
)
"""What MODEL may be, for messages and help."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedModel:
    """A model, and what its file says of it.

    model : a module, a callable or posterior, or a fitted classifier; `adapt` makes of it what the house asks.
    name : short, for tables: of the file, the folder or the function.
    source : what was given.
    classes : names of the columns of its output, where the file has them; an estimator has them itself.
    notes : what a reader of results has to know, each a clause without a full stop.
    about : of a folder of `save_posterior`, what its writer said of how the model was made.
    recipe : how to build it but for its weights; None where the file has a model and no function that builds it.
    """

    model: Any
    name: str
    source: str
    classes: tuple[Label, ...] | None = None
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None


def load_model(
    spec: str | os.PathLike[str], *, trust: bool = False, weights: str | os.PathLike[str] | None = None
) -> LoadedModel:
    """The model that `spec` names.

    Parameters
    ----------
    spec : a file (.joblib, .pkl, .pickle, .skops, .onnx, .pt, .pth, .pt2), a folder of `save_posterior` or of a
        Hugging Face model, or package.module:factory or path/to/file.py:factory.
    trust : whether files may be read that can run code of their writer: all but .skops and .onnx, and some of .skops;
        and folders of a network that is not of this package.
    weights : for the module that a factory builds: .safetensors, or what torch.save wrote of its state_dict.

    Raises
    ------
    InvalidInput : `spec` is none of these, or needs `trust`, a package or a network that is not there.
    DataError : the file is not there, damaged, or of another kind than its name says.
    CheckpointError : the weights cannot be read, or do not fit.
    ModelContractError : the file holds something else than a model, or the factory raised.
    """
    text, path = os.fspath(spec), Path(spec)
    reader = _READERS.get(path.suffix.lower())
    is_factory = reader is None and not path.exists() and ":" in text
    if weights is not None and not is_factory:
        raise InvalidInput(
            f"--weights goes with a function that builds the network, package.module:factory, got {text}; leave "
            "--weights out where the file has the network."
        )
    classes, notes, about, recipe = None, [], {}, None
    if is_factory:
        model, recipe = build_model(text), Recipe(text)
        if weights is not None:
            _load_weights(text, model, Path(weights))
    elif is_posterior_folder(path):
        model, recipe, about = load_posterior(path, trust=trust)
        classes = getattr(model, "class_names", None)
    elif path.is_dir():
        model, classes, notes = load_folder(path, trust=trust)
    elif reader is not None:
        model = reader(path, trust=trust)
        if isinstance(model, OnnxModel):
            classes, notes = model.classes, model.notes
    else:
        remedy = _ELSEWHERE.get(path.suffix.lower())
        raise InvalidInput(f"MODEL must be {MODELS}, got {text!r}{f'; {remedy}' if remedy else ''}.")
    name = text.rpartition(":")[2] if is_factory else path.resolve().name if path.is_dir() else path.stem
    known = tuple(classes) if classes else None
    return LoadedModel(
        model=model, name=name, source=text, classes=known, notes=tuple(notes), about=about, recipe=recipe
    )


def _load_weights(name: str, model: Any, path: Path) -> None:
    from trustworthy.training.weights import load_weights

    if not isinstance(model, nn.Module):
        raise InvalidInput(f"--weights needs a torch module, {name} is {type(model).__name__}; leave --weights out.")
    load_weights(model, path)
