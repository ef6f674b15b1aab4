"""Asking what a user wrote: what it raises says that it was the model, and its input stays as it was."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from trustworthy.core.protocols import Posterior, Predictor, as_posterior
from trustworthy.models.feeding import blamed
from trustworthy.report.domain import Wrapped


def asked_safely(model: Any, *, copied: bool) -> Posterior:
    """`model` as a posterior that is shown a copy of its inputs if it writes into them."""
    return Wrapped(as_posterior(model), partial(_ask, copied=copied))


def _ask(predictor: Predictor, x: Tensor, *, copied: bool) -> Any:
    with blamed(x):
        return predictor(x.clone() if copied else x)
