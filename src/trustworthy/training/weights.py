"""Weights in safetensors files: plain tensors by name, nothing that runs code when it is read."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from trustworthy.core.errors import CheckpointError, InvalidInput
from trustworthy.core.files import atomic_write

_COUNTER = ".num_batches_tracked"
MODEL = "model/"  # what the names of a model's weights begin with in a checkpoint of a training run


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the weights and buffers of `model` to a safetensors file, whole or not at all.

    Raises
    ------
    CheckpointError : the file cannot be written, or the model keeps state that is not a tensor.
    """
    write_tensors(path, model_tensors(model), {"format": "pt"})


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read weights and buffers of `model` from a safetensors file, a checkpoint of `training.fit`, or a state_dict.

    A state_dict is what `torch.save(model.state_dict(), path)` wrote; nothing in the file is run.

    The model is changed only where every name and shape fits.

    Raises
    ------
    CheckpointError : the file cannot be read, or names or shapes differ; the message lists them.
    """
    assign_weights(model, _state_dict(path) if _is_pickled(path) else read_tensors(path)[0], path)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The network that `make` gives, its weights drawn by `seed`; torch's global stream is left where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def redrawn(model: nn.Module, seed: int) -> nn.Module:
    """A copy of `model` with weights drawn anew, as each layer draws them when it is built.

    What holds other modules draws after them, so a network with a `reset_parameters` of its own has the last word.

    Raises
    ------
    InvalidInput : a module that has weights has no `reset_parameters`.
    """
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None and not hasattr(module, "reset_parameters"):
            raise InvalidInput(
                f"the weights of {name or 'the model'} cannot be drawn anew, as {type(module).__name__} has no "
                "reset_parameters(); write one, or train from the weights that are given, or where several networks "
                "are asked for, give the function that builds one, method.fit(make_model, ...)."
            )
    fresh = copy.deepcopy(model)

    def reset() -> nn.Module:
        for module in sorted(fresh.modules(), key=lambda module: len([*module.modules()])):
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        return fresh

    return seeded(reset, seed)


def _is_pickled(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as those of `torch.save` do: a zip archive, or a pickle of the old kind."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as stream:
        start = stream.read(4)
    return start in (b"PK\x03\x04", b"\x80\x02\x8a\x0a")


def _state_dict(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    save = "torch.save(model.state_dict(), path)"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what pickle and zipfile raise of a damaged file, and torch of one that would run code
        raise CheckpointError(
            f"{path} is cut short, or holds more than tensors by name, and is not read; write the weights alone: "
            f"{save}."
        ) from error
    found = tensors_in(content)
    if found is None:
        raise CheckpointError(f"{path} must hold tensors by name, got other things; write the weights alone: {save}.")
    return found


def tensors_in(content: object) -> dict[str, Tensor] | None:
    """Tensors by name, in what `torch.save` wrote or under a key of it, without the prefixes that wrappers add."""
    if not isinstance(content, Mapping):
        return None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            return tensors_in(content[key])
    if not content or not all(isinstance(value, Tensor) for value in content.values()):
        return None
    prefix = next(
        (each for each in ("module.", "_orig_mod.") if all(str(name).startswith(each) for name in content)), ""
    )
    return {str(name).removeprefix(prefix): value for name, value in content.items()}


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """State of `model` by name; tied weights, which share memory, come once for each name."""
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                f"{name} of the model is {type(value).__name__}, and only tensors can be saved; keep it as a buffer."
            )
    return dict(state)


def assign_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Copy `tensors`, read from `path`, into `model`; of those of a checkpoint the model's.

    A model with a method `current_names(tensors) -> tensors` reads files that name its weights in another way. Counters
    of batches, which files of old versions of torch lack, begin at 0.
    """
    tensors = {name.removeprefix(MODEL): value for name, value in tensors.items() if name.startswith(MODEL)} or tensors
    named: dict[str, Tensor] = getattr(model, "current_names", dict)(tensors)
    expected = model_tensors(model)
    for name in expected.keys() - named.keys():
        if name.endswith(_COUNTER) and name.replace(_COUNTER, ".running_mean") in named:
            named[name] = torch.zeros_like(expected[name])
    problems = {
        "missing in the file": sorted(expected.keys() - named.keys()),
        "unknown to the model": sorted(named.keys() - expected.keys()),
        "of another shape": [
            f"{name} (file {tuple(named[name].shape)}, model {tuple(expected[name].shape)})"
            for name in sorted(expected.keys() & named.keys())
            if named[name].shape != expected[name].shape
        ],
    }
    listed = [f"{problem}: {', '.join(first_few(names))}" for problem, names in problems.items() if names]
    if listed:
        raise CheckpointError(
            f"the weights in {path} do not fit the model: {'; '.join(listed)}. Build the model with the arguments "
            "it was trained with."
        )
    model.load_state_dict(named)


def first_few(phrases: list[str], most: int = 8) -> list[str]:
    """What an error lists of many `phrases`."""
    return [*phrases[:most], *([f"and {len(phrases) - most} more"] if len(phrases) > most else [])]


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    separate = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    try:
        with atomic_write(path, "wb") as stream:
            stream.write(safetensors.torch.save(separate, metadata))
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be written ({error.strerror or error}); what was there before is unchanged. Free some "
            "space or choose another folder."
        ) from error


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors on the CPU, and the metadata, of a safetensors file."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path} is not a file; give the path of the weights, a safetensors or .pt file.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name).clone() for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}): it is damaged, cut short or of another kind. Write it "
            "again with trustworthy.training.save_weights, or restore it from a copy."
        ) from error
