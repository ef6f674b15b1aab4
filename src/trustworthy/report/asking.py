"""Asking what a user wrote: what it raises says that it was the model, what it warns of comes once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trustworthy.core.errors import ModelContractError, TrustworthyError
from trustworthy.core.guard import reachable_modules
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


def once_warned(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`ask`, whose warnings come once from each place: an audit asks thousands of times."""
    seen: set[tuple[Any, ...]] = set()

    def asked(x: Any) -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = ask(x)
        for each in caught:
            place = (each.category, each.filename, each.lineno)
            if place not in seen:
                seen.add(place)
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return answer

    return asked


def asked_safely(model: Any, *, copied: bool) -> Posterior:
    """`model` as a posterior that is shown inputs in its own precision, and a copy of them if it writes into them."""
    return Wrapped(as_posterior(model), partial(_ask, dtype=precision(model), copied=copied))


def precision(model: Any) -> torch.dtype | None:
    """The one floating type of all weights of the model; None for float32, for several, and where there are none."""
    kinds = {w.dtype for module in reachable_modules(model) for w in module.parameters() if w.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 and torch.float32 not in kinds else None


def _ask(predictor: Predictor, x: Tensor, *, dtype: torch.dtype | None, copied: bool) -> Any:
    given = x if dtype is None else x.to(dtype)
    with blamed(x):
        output = predictor(given.clone() if copied else given)
    return output if dtype is None or not isinstance(output, Tensor) else output.to(x.dtype)
