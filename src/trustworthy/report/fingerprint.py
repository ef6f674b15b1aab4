"""What tells a model from another: its weights, where there are any to see, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import joblib
import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core.digest import digest
from trustworthy.core.protocols import Posterior


def fingerprint(
    model: Any,
    logits: Float[np.ndarray, "n classes"],
    y: Int[np.ndarray, " n"],
    slope: float | None,
    elsewhere: Callable[[], np.ndarray],
) -> str:
    """Hash of the weights of `model` and of its answers; it is made of any model, whatever cannot be looked into.

    Scores may round differently from run to run, so they enter by the predicted classes and by three numbers of three
    digits: what is hidden from the weights (a temperature, a scale, a masked gradient) changes one of these.

    elsewhere : what the model answers at other points than the examples; an estimator is asked.
    """
    surprise = np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y])
    answer = [f"{surprise:.3g}", f"{np.abs(logits).mean():.3g}", None if slope is None else f"{slope:.3g}"]
    inside = None
    with suppress(Exception):  # weights of a kind that has no bytes, a description of the user's own that raises, ...
        inside = _inside(model, elsewhere)
    return digest(type(model).__qualname__, logits.argmax(1), answer, inside)


def _inside(model: Any, elsewhere: Callable[[], np.ndarray]) -> str | None:
    if isinstance(model, nn.Module | Posterior):
        modules = [model] if isinstance(model, nn.Module) else list(model.modules())
        states = [module.state_dict().items() for module in modules]
        weights = [{key: value for key, value in state if isinstance(value, Tensor)} for state in states]
        return digest(list(zip(map(repr, modules), weights, strict=True)))
    if hasattr(model, "predict"):
        # Only a pickle that asking the model does not change: the trees of scikit-learn's neighbours count their calls.
        before, answers, after = _pickled(model), np.round(elsewhere(), 5) + 0.0, _pickled(model)
        return digest(answers, before if before == after else None)
    return None


def _pickled(model: Any) -> str | None:
    """Hash of the pickle; None where there is none: a lock, a lambda, the masked arrays of a search."""
    try:
        return str(joblib.hash(model))
    except Exception:
        return None
