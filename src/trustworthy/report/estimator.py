"""A scikit-learn classifier as a function from a batch of tensors to scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trustworthy.core.errors import ModelContractError


def scores_of(model: Any) -> Callable[[Tensor], Tensor]:
    """Log-probabilities of a scikit-learn classifier, or one-hot votes where it has no `predict_proba`."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise ModelContractError(
            f"{type(model).__name__} must be a fitted classifier with the attribute classes_; call fit in the factory."
        )
    if np.asarray(classes).dtype.kind not in "iu" or np.min(classes) < 0:
        raise ModelContractError(
            f"the classes of the estimator must be integers >= 0, got {np.asarray(classes)[:5]!r}."
        )
    width = max(2, int(np.max(classes)) + 1)

    def scores(x: Tensor) -> Tensor:
        table = x.detach().flatten(1).cpu().numpy().astype(np.float64)
        out = np.zeros((len(table), width))
        if hasattr(model, "predict_proba"):
            out[:, classes] = model.predict_proba(table)
            out = np.log(np.maximum(out, np.finfo(np.float32).tiny))
        else:
            out[np.arange(len(table)), model.predict(table)] = 1.0
        return torch.from_numpy(out).to(device=x.device, dtype=x.dtype)

    return scores
