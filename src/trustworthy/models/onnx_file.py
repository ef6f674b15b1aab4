"""ONNX files, run by onnxruntime on the CPU. They have no gradients: only attacks by scores see such a model.

The libraries that turn a graph back into torch (onnx2torch 1.5.15, onnx2pytorch 0.6.0) import torchvision for operators
that no classifier has, and torchvision does not work beside torch's CPU build.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from trustworthy.core.errors import DataError, InvalidInput, ModelContractError
from trustworthy.core.extras import required
from trustworthy.models.door import check_file
from trustworthy.models.feeding import in_batches_of
from trustworthy.models.names import Label, plain
from trustworthy.models.outputs import numbers_of

_TYPES = {"float": np.float32, "double": np.float64, "float16": np.float16, "int64": np.int64, "int32": np.int32}
_NO_GRADIENTS = "ONNX files have no gradients: attacks see scores alone, and find less than those by gradients would"


class OnnxModel:
    """A callable from a batch to the scores of an ONNX file.

    classes : labels of the columns, where the file names them (skl2onnx, onnxmltools); else None.
    notes : what a reader of the audit has to know.
    """

    def __init__(self, session: Any, path: Path) -> None:
        self._session, self._path = session, path
        self._input = _the_input(session, path)
        self._output = _chosen(session.get_outputs(), path)
        self._dtype = _TYPES[re.sub(r"tensor\((\w+)\)", r"\1", self._input.type)]
        rows = self._input.shape[0] if self._input.shape else None
        self._batch = rows if isinstance(rows, int) and rows > 0 else None
        self.classes = _classes(path)
        others = [output.name for output in session.get_outputs() if output.name != self._output.name]
        chosen = [f"of the outputs {self._output.name} is used, not {', '.join(others)}"] * bool(others)
        self.notes = [_NO_GRADIENTS, *chosen]

    def __call__(self, x: Float[Tensor, "n *shape"]) -> Shaped[Tensor, "n *outputs"]:
        """What the chosen output says, scores or class indices, detached, on the device of `x`."""
        return in_batches_of(self._batch, self._ask, self._fitting(x.detach().cpu())).to(x.device)

    def _ask(self, x: Tensor) -> Tensor:
        (answer,) = self._session.run([self._output.name], {self._input.name: x.numpy().astype(self._dtype)})
        if isinstance(answer, list):  # a ZipMap: a dictionary of class and probability for each row
            answer = np.array([[row[label] for label in self.classes or row] for row in answer], dtype=np.float32)
        if answer.dtype.kind not in "iuf":
            raise ModelContractError(f"{self._path} returns {answer.dtype} labels alone; export it with probabilities.")
        return numbers_of(answer)

    def _fitting(self, x: Tensor) -> Tensor:
        """The batch in the shape that the file takes: rows flattened, or channels last, where only that fits."""
        wanted, given = self._input.shape[1:], tuple(x.shape[1:])
        if not self._input.shape or _fits(wanted, given):
            return x
        if len(given) == 3 and _fits(wanted, (*given[1:], given[0])):
            return x.permute(0, 2, 3, 1)
        if len(wanted) == 1 and _fits(wanted, (x[0].numel(),)):
            return x.flatten(1)
        expected = ", ".join(str(size) if isinstance(size, int) else "any" for size in wanted)
        raise InvalidInput(
            f"{self._path} takes examples of shape ({expected}), the data have {given}; give the data that it was "
            "exported for."
        )


def load_onnx(path: Path, *, trust: bool) -> OnnxModel:
    """A model in an ONNX file, which runs no code of its writer.

    Raises
    ------
    InvalidInput : onnxruntime is missing or too old for the file, or the file has several inputs.
    DataError : no ONNX file, or one without its external data.
    """
    check_file(path, "an ONNX file")
    runtime = required("onnxruntime", f"reading {path}")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no common class of their own
        raise _unreadable(path, runtime.__version__, str(error)) from error
    return OnnxModel(session, path)


def _unreadable(path: Path, version: str, said: str) -> InvalidInput | DataError:
    too_new = re.search(r"IR version: (\d+), max supported IR version: (\d+)", said)
    opset = re.search(r"Opset (\d+) is under development.*domain (\S+) is till opset (\d+)", said, re.DOTALL)
    if too_new:
        return _too_new(path, version, f"IR version {too_new[1]}", too_new[2])
    if opset:
        return _too_new(path, version, f"opset {opset[1]} of {opset[2]}", opset[3])
    external = re.search(r"(?:external data|file_size|External data path).*", said, re.DOTALL)
    short = re.sub(r"\s+", " ", said)[:300]
    if external:
        return DataError(f"{path} keeps its weights in another file, which is not beside it ({short}); copy both.")
    return DataError(f"{path} is no ONNX file that onnxruntime {version} can run ({short}); export it again.")


def _too_new(path: Path, version: str, what: str, limit: str) -> InvalidInput:
    return InvalidInput(
        f"{path} has {what}, and onnxruntime {version} reads up to {limit}: pip install --upgrade onnxruntime, or "
        f"export it again for {limit} (torch.onnx.export and skl2onnx: opset_version, target_opset)."
    )


def _the_input(session: Any, path: Path) -> Any:
    inputs = session.get_inputs()
    listed = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
    if len(inputs) != 1:
        raise InvalidInput(
            f"{path} must have one input, a batch of examples, and has {len(inputs)}: {listed}. Export it with one "
            "input of all columns; a pipeline on named columns is audited as .joblib or .skops."
        )
    if re.sub(r"tensor\((\w+)\)", r"\1", inputs[0].type) not in _TYPES:
        raise InvalidInput(f"{path} must take numbers, and takes {listed}; export it from its numbers on.")
    return inputs[0]


def _chosen(outputs: list[Any], path: Path) -> Any:
    """The output with scores: by its name, else the first that is floating, else class indices."""
    scores = [each for each in outputs if "float" in each.type or "double" in each.type]
    for word in ("logit", "prob", "score"):
        for each in scores:
            if word in each.name.lower():
                return each
    if scores:
        return next((each for each in scores if len(each.shape) == 2), scores[0])
    labels = [each for each in outputs if "int" in each.type]
    if not labels:
        listed = ", ".join(f"{each.name} {each.type}" for each in outputs)
        raise InvalidInput(f"{path} must return logits or probabilities, and returns {listed}; export it with them.")
    return labels[0]


def _classes(path: Path) -> list[Label] | None:
    """Class labels that a node of the graph names, the last first; None where none does, or onnx is missing."""
    onnx = required("onnx", f"reading {path}")
    for node in reversed(onnx.load(path, load_external_data=False).graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints):
                return [value.decode() for value in attribute.strings] or [plain(value) for value in attribute.ints]
    return None


def _fits(wanted: list[Any], given: tuple[int, ...]) -> bool:
    return len(wanted) == len(given) and all(
        not isinstance(size, int) or size == have for size, have in zip(wanted, given, strict=True)
    )
