"""The door: what a caller passes is checked once, with a message that says what to do, and becomes tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.protocols import AnyClassifier, Posterior, Repeated, as_posterior
from trustworthy.core.threat import Bounds

Array = Tensor | np.ndarray
"""A batch as users bring it."""


def as_batch(x: object, bounds: Bounds | None, name: str = "x") -> Tensor:
    """Check a batch of inputs and detach it; NumPy arrays become tensors, a rounding error beyond a bound is cut."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        x = torch.from_numpy(np.array(x, order="C"))
    if not isinstance(x, Tensor | np.ndarray):
        raise InvalidInput(f"{name} must be a tensor or a NumPy array (batch, *shape), got {type(x).__name__}.")
    if isinstance(x, np.ndarray) or not x.is_floating_point():
        raise InvalidInput(f"{name} must be floating, got {x.dtype}; for images in 0..255 pass {name} / 255.0.")
    if x.ndim < 2 or x.numel() == 0:
        raise InvalidInput(f"{name} must be a non-empty batch (batch, *shape), got shape {tuple(x.shape)}.")
    if not all(bool(end.isfinite()) for end in x.detach().aminmax()):  # no array as large as x is made for the answer
        raise InvalidInput(f"{name} must be finite, got NaN or inf; drop or impute those examples.")
    x = x.detach().clone() if x.is_inference() else x.detach()
    return x if bounds is None else _within(x, bounds, name)


def _within(x: Tensor, bounds: Bounds, name: str) -> Tensor:
    low, high = float(x.min()), float(x.max())
    rounding = 4 * torch.finfo(x.dtype).eps * max(map(abs, bounds))
    if low < bounds[0] - rounding or high > bounds[1] + rounding:
        raise InvalidInput(
            f"{name} must lie in bounds={bounds}, got values in [{low:.7g}, {high:.7g}]; rescale {name} and put the "
            "normalisation inside the model, or pass the true bounds."
        )
    return x if bounds[0] <= low and high <= bounds[1] else x.clamp(*bounds)


def as_labels(name: str, labels: object, x: Tensor) -> Tensor:
    """Check one class index per example."""
    if isinstance(labels, np.ndarray | list | tuple):
        array = np.asarray(labels)  # torch cannot compare all unsigned types
        labels = torch.from_numpy(array.astype(np.int64)) if array.dtype.kind in "iu" else array
    whole = isinstance(labels, Tensor) and not (labels.is_floating_point() or labels.is_complex())
    if not isinstance(labels, Tensor) or not whole or labels.dtype == torch.bool:
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise InvalidInput(f"{name} must be integer class indices (batch,), got {kind}; number the classes 0, 1, ...")
    if labels.shape != (len(x),):
        raise InvalidInput(f"{name} must have shape ({len(x)},) to match x, got {tuple(labels.shape)}.")
    if int(labels.min()) < 0:
        raise InvalidInput(f"{name} must be >= 0, got {int(labels.min())}; relabel the classes 0, 1, ...")
    labels = labels.to(device=x.device, dtype=torch.int64)
    return labels.clone() if labels.is_inference() else labels


def as_classifier(model: AnyClassifier, speaks_numpy: bool, classes: int) -> Posterior:
    """A posterior whose draws are callables on tensors, of a model that may speak NumPy or return labels alone.

    `classes` : how many classes are known of. Predicted labels become one-hot rows, all of one width, with one more
    column for any class that is not known.
    """
    if not speaks_numpy or isinstance(model, nn.Module | Posterior) or not callable(model):
        return as_posterior(model)

    def on_tensors(x: Tensor) -> Tensor:
        out = np.asarray(model(x.detach().cpu().numpy()))
        if out.ndim == 1:
            return _one_hot(out, max(2, classes)).to(x)
        if out.dtype.kind not in "iuf":
            raise ModelContractError(f"the model must return scores or class indices, got dtype {out.dtype}.")
        # Half precision would tie scores that the model tells apart.
        return torch.as_tensor(out).to(x.device, torch.promote_types(x.dtype, torch.float32))

    return Repeated(on_tensors)


def _one_hot(labels: np.ndarray, classes: int) -> Tensor:
    whole = labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and bool((labels == np.floor(labels)).all()))
    if not whole or (labels.dtype.kind != "b" and labels.min() < 0):
        raise ModelContractError(
            "a model that returns one number per example must return class indices 0, 1, ..., "
            f"got {labels[:3]!r}; map labels to indices, or turn one score s into the columns (0, s)."
        )
    indices = torch.as_tensor(labels.astype(np.int64))
    return torch.nn.functional.one_hot(indices.clamp(max=classes), classes + 1)


def check_logits(out: object, batch: int, y: Tensor | None = None, target: Tensor | None = None) -> Tensor:
    """Return the model's answer; refuse what is not a floating tensor (batch, classes) that has every label's class."""
    if not isinstance(out, Tensor):
        remedy = "; a model that speaks NumPy is attacked with NumPy arrays" if isinstance(out, np.ndarray) else ""
        raise ModelContractError(f"the model must return a tensor of logits, got {type(out).__name__}{remedy}.")
    if out.ndim != 2 or len(out) != batch or not out.is_floating_point():
        raise ModelContractError(
            f"the model must return floating logits of shape ({batch}, classes) for a batch of {batch}, "
            f"got shape {tuple(out.shape)} and dtype {out.dtype}; flatten extra axes inside the model."
        )
    classes = out.shape[1]
    if classes < 2:
        raise ModelContractError("the model must return at least two logits; turn one score s into the pair (0, s).")
    if bool(out.detach().isnan().any()):
        raise ModelContractError("the model returned NaN for a valid input; check its weights and its normalisation.")
    for name, labels in (("y", y), ("target", target)):
        if labels is not None and int(labels.max()) >= classes:
            raise InvalidInput(
                f"{name} must lie in 0..{classes - 1} for {classes} logits, got {int(labels.max())}; give a model of "
                "all classes, or leave such rows out."
            )
    return out
