"""Asking what a user wrote: what it raises says that it was the model, what it warns of comes once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor

from trustworthy.core.errors import ModelContractError, TrustworthyError
from trustworthy.core.protocols import Posterior, Predictor, as_posterior
from trustworthy.report.domain import Wrapped


@contextmanager
def blamed(x: Tensor) -> Iterator[None]:
    """Turn what the model raises about a batch into one line that says so."""
    try:
        yield
    except (TrustworthyError, Warning):
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        kind, shape = type(error).__name__, tuple(x.shape)
        raise ModelContractError(
            f"the model raised {kind} on a batch of shape {shape}: {said[0] if said else ''}"
        ) from error


def asked_safely(model: Any, *, copied: bool) -> Posterior:
    """`model` as a posterior that is shown a copy of its inputs if it writes into them."""
    return Wrapped(as_posterior(model), partial(_ask, copied=copied))


def _ask(predictor: Predictor, x: Tensor, *, copied: bool) -> Any:
    with blamed(x):
        return predictor(x.clone() if copied else x)
