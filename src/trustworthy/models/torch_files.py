"""Torch networks in files: TorchScript, torch.export, and weights alone."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.models.door import check_file, check_trusted
from trustworthy.models.feeding import in_batches_of
from trustworthy.models.outputs import numbers_of
from trustworthy.training.weights import tensors_in

_SAVE = (
    "save its weights, torch.save(model.state_dict(), 'weights.pt'), or all of it, "
    "torch.export.save(torch.export.export(model, (x,)), 'model.pt2')"
)


def load_torch(path: Path, *, trust: bool) -> nn.Module:
    """The module of a TorchScript or torch.export file, told by what is in it.

    Raises
    ------
    InvalidInput : not `trust`; or weights without a network, or a pickled module, with what to do instead.
    DataError : no such file, or damaged.
    """
    check_file(path, "a torch file")
    kind = _kind(path)
    if kind == "weights":
        raise InvalidInput(_why_no_network(path))
    check_trusted(path, f"a {kind} file", trust)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is deprecated is no news for who has such a file
            if kind == "TorchScript":
                return torch.jit.load(path, map_location="cpu").eval()
            return _exported(torch.export.load(path), path)
    except InvalidInput:
        raise
    except Exception as error:  # whatever torch meets in a damaged file
        said = str(error).strip().splitlines()
        raise DataError(
            f"{path} cannot be read as {kind} by torch {torch.__version__} ({said[0] if said else type(error).__name__}"
            "): it is damaged, or another version wrote it; save it again with this one."
        ) from error


def _kind(path: Path) -> Literal["TorchScript", "torch.export", "weights"]:
    if not zipfile.is_zipfile(path):
        return "weights"
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "TorchScript"
    return "weights" if "data.pkl" in names else "torch.export"


def _why_no_network(path: Path) -> str:
    without = (
        f"{path} has weights and no network; give the function that builds it, and these as its weights: MODEL "
        f"package.module:factory --weights {path}."
    )
    if path.suffix.lower() == ".safetensors":
        return without
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        return (
            f"{path} cannot be read without running code: it is a module that was pickled whole, or damaged. Where it "
            f"can still be loaded, {_SAVE}."
        )
    if tensors_in(content) is None:
        return (
            f"{path} holds {type(content).__name__}, neither a network nor weights by name. Where you have the "
            f"network, {_SAVE}."
        )
    return without


class _Exported(nn.Module):
    """An exported program; one that was traced for a fixed number of rows is asked about so many at once."""

    def __init__(self, program: nn.Module, dtype: torch.dtype, batch: int | None) -> None:
        super().__init__()
        self.program, self.dtype, self.batch = program, dtype, batch

    def forward(self, x: Float[Tensor, "n *shape"]) -> Shaped[Tensor, "n *outputs"]:
        return in_batches_of(self.batch, lambda rows: numbers_of(self.program(rows.to(self.dtype))), x)


def _exported(program: Any, path: Path) -> nn.Module:
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1:
        listed = ", ".join(f"{name} {tuple(value.shape)}" for name, value in zip(names, inputs, strict=True))
        raise InvalidInput(f"{path} must have one input, a batch, and has {len(inputs)}: {listed}; export it with one.")
    rows = inputs[0].shape[0]
    return _Exported(program.module(), inputs[0].dtype, rows if isinstance(rows, int) else None)
