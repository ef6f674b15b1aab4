"""What models return, as logits (n, classes): found out once from some answers, then done alike to every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trustworthy.core.errors import ModelContractError

Form = Literal["auto", "logits", "probabilities", "sigmoids", "logit", "probability", "labels"]
"""Columns of logits, of probabilities that sum to one, of one sigmoid each; one logit or probability of class 1; one
class index."""

_TINY = float(np.finfo(np.float32).tiny)
_SAID = {
    "logits": "",
    "probabilities": "outputs are probabilities; their logarithm is used",
    "sigmoids": "outputs lie in [0, 1] and do not sum to one, as one sigmoid a class gives; their logarithm is used, "
    "so a confidence is the share of a class in their sum",
    "logit": "the output is one logit s; it is used as the logits (0, s)",
    "probability": "the output is one number in [0, 1]; it is used as the probability of class 1",
    "labels": "outputs are class labels, used as votes: there are no confidences and no gradients",
}
_REMEDY = {
    "probabilities": ", whose gradients vanish where a softmax is saturated: remove the final softmax",
    "sigmoids": ": remove the final sigmoid, whose gradients vanish where it is saturated",
    "probability": ": remove the final sigmoid, whose gradients vanish where it is saturated",
}
"""What more is said where there are gradients."""


@dataclass(frozen=True)
class Reading:
    """How answers become logits.

    form : what the numbers are.
    classes : how many; labels beyond them are counted as one class more.
    notes : what was done, each a clause without a full stop; empty for logits.
    order : which column comes first, second and so on; None leaves them as they are.
    """

    form: Form
    classes: int
    notes: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None

    def __call__(self, output: Any) -> Float[Tensor, "n classes"]:
        """Logits, in float32 where the output is less exact; differentiable wherever the output is."""
        logits = self._logits(numbers_of(output))
        # The votes for labels beyond the classes stay last.
        return logits if self.order is None else logits[:, [*self.order, *range(self.classes, logits.shape[1])]]

    def _logits(self, scores: Tensor) -> Float[Tensor, "n classes"]:
        if self.form == "labels":
            return _votes(scores.flatten(), self.classes)
        scores = _rows(_widened(scores))
        if self.form == "logit":
            return torch.cat([torch.zeros_like(scores), scores], 1)
        if self.form == "probability":
            scores = torch.cat([1 - scores, scores], 1)
        return scores if self.form == "logits" else scores.clamp_min(_TINY).log()


def read(
    output: Any,
    *,
    form: Form = "auto",
    rows: int | None = None,
    classes: int | None = None,
    gradients: bool = False,
) -> Reading:
    """Find out what the answer to some examples is; the more examples, the surer.

    Parameters
    ----------
    output : a tensor, an array, or what holds one: a dict, a tuple, an object with `logits`.
    form : says what the numbers are where looking at them would be wrong.
    rows : how many examples were asked about.
    classes : how many there are, for a model that returns labels; by default one more than the largest.
    gradients : whether the model has some, so that the notes say what makes them better.

    Raises
    ------
    ModelContractError : there are no numbers, or they are not one row, or one number, an example.
    """
    scores = numbers_of(output)
    if scores.ndim == 0 or (scores.ndim > 1 and scores[0].numel() != scores.shape[1]) or scores.numel() == 0:
        raise ModelContractError(
            f"the model must return one row of logits an example, got shape {tuple(scores.shape)}; flatten or average "
            "further axes inside the model."
        )
    if rows not in (None, len(scores)):
        raise ModelContractError(
            f"the model must return one row of logits an example, {rows}, got shape {tuple(scores.shape)}; do not "
            "select or join rows inside the model."
        )
    found = _form(scores) if form == "auto" else form
    if found in ("logits", "probabilities", "sigmoids") and _rows(scores).shape[1] < 2:
        raise ModelContractError(f"one output a row cannot be {found}; say 'logit' or 'probability'.")
    said = _SAID[found] + (_REMEDY.get(found, "") if gradients else "")
    notes = tuple(note for note in (_said_of_choice(output), said) if note)
    if found == "labels":
        return Reading(found, classes or max(2, int(scores.max()) + 1), notes)
    return Reading(found, max(2, _rows(scores).shape[1]), notes)


def numbers_of(output: Any) -> Tensor:
    """The tensor in an answer: itself, that of `logits`, or the first floating one of a dict or tuple."""
    held = _held(output)
    if held is None:
        raise ModelContractError(
            f"the model must return logits as a tensor or an array, alone or in a dict or a tuple, got "
            f"{type(output).__name__}."
        )
    return held[1]


def _held(output: Any) -> tuple[str, Tensor] | None:
    """The name and the tensor; None where there is none."""
    if isinstance(output, Tensor):
        return "", output
    if hasattr(output, "__array__"):  # of NumPy, a frame, a series
        array = np.asarray(output)
        return ("", torch.from_numpy(np.array(array))) if array.dtype.kind in "biuf" else None
    if not isinstance(output, Mapping) and hasattr(output, "logits"):
        return "logits", numbers_of(output.logits)
    if isinstance(output, Mapping):
        items = [(str(name), value) for name, value in output.items()]
    elif isinstance(output, tuple | list):
        items = [(f"item {index}", value) for index, value in enumerate(output)]
    else:
        return None
    tensors = [(name, found[1]) for name, value in items if (found := _held(value)) is not None]
    floating = [(name, tensor) for name, tensor in tensors if tensor.is_floating_point()]
    return next((item for item in floating if item[0] == "logits"), floating[0] if floating else None)


def _said_of_choice(output: Any) -> str:
    held = _held(output)
    return f"the model returns a {type(output).__name__}; {held[0]} of it is used" if held and held[0] else ""


def _form(scores: Tensor) -> Form:
    if not scores.is_floating_point() and scores[0].numel() == 1:
        return "labels"
    scores = _rows(_widened(scores)).detach()
    in_unit = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        if bool((scores >= 0).all()) and bool((scores == scores.round()).all()):
            return "labels"
        return "probability" if in_unit else "logit"
    if not in_unit:
        return "logits"
    # A softmax in half precision sums to one but for its rounding, 2 ** -8 in bfloat16.
    if bool(((scores.sum(1) - 1).abs() <= 1e-2).all()):
        return "probabilities"
    # Logits of a network that is not trained may lie in [0, 1] by chance; they do not come near both ends.
    return "sigmoids" if float(scores.min()) < 0.1 and float(scores.max()) > 0.9 else "logits"


def _rows(scores: Tensor) -> Shaped[Tensor, "n columns"]:
    """(n,) becomes (n, 1), and (n, k, 1, 1) of a convolution becomes (n, k)."""
    return scores.reshape(len(scores), -1)


def _widened(scores: Tensor) -> Tensor:
    return scores if scores.dtype in (torch.float32, torch.float64) else scores.float()


def _votes(labels: Tensor, classes: int) -> Float[Tensor, "n columns"]:
    whole = labels.to(torch.int64)
    if bool((whole < 0).any()) or bool((whole != labels).any()):
        raise ModelContractError(
            f"labels that a model returns must be 0, 1, ..., got {labels[:3].tolist()}; map them to indices of classes."
        )
    return torch.nn.functional.one_hot(whole.clamp(max=classes), classes + 1).float()
