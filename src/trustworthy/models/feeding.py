"""How a model takes a batch: as a tensor, in the precision of its weights, as an array, so many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trustworthy.core.errors import ModelContractError, TrustworthyError
from trustworthy.core.guard import precision
from trustworthy.core.protocols import Predictor
from trustworthy.models.outputs import numbers_of

Feed = Callable[[Predictor, Tensor], Any]


def fed(predictor: Predictor, model: Any, x: Tensor) -> tuple[Feed, Any, bool]:
    """The way in which a draw of `model` takes the batch `x`, what it says to it, and whether that has a gradient.

    Tried are the batch as it is, in the precision of the weights, and as an array; the input is left as it is.

    Raises
    ------
    ModelContractError : it raises whatever it is given; the message says what it said to the batch as it is.
    """
    ways: list[Feed] = [as_given]
    dtype = precision(model)
    if dtype not in (None, x.dtype):
        ways.append(partial(_in_precision, dtype))
    if not isinstance(model, nn.Module):
        ways.append(_as_array)
    first: Exception | None = None
    for feed in ways:
        try:
            output = feed(predictor, x.clone())  # some models write into their input
        except TrustworthyError:
            raise
        except Exception as error:
            first = first or error
        else:
            differentiable = _is_differentiable(feed, predictor, x)
            return partial(_detached, feed) if differentiable is None else feed, output, bool(differentiable)
    assert first is not None  # the first way at least was tried
    with blamed(x):
        raise first


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
            f"the model raised {kind} on a batch of shape {shape}: {said[0] if said else 'no message'}; give it data "
            "of the shape and the columns that it was trained on, or correct it."
        ) from error


def as_given(predictor: Predictor, x: Tensor) -> Any:
    """The batch as it is."""
    return predictor(x)


def _in_precision(dtype: torch.dtype, predictor: Predictor, x: Tensor) -> Any:
    return predictor(x.to(dtype))


def _as_array(predictor: Any, x: Tensor) -> Any:
    return predictor(x.detach().cpu().numpy().copy())  # some write into it


def _detached(feed: Feed, predictor: Predictor, x: Tensor) -> Any:
    return feed(predictor, x.detach())


@torch.enable_grad()
def _is_differentiable(feed: Feed, predictor: Predictor, x: Tensor) -> bool | None:
    """Whether a batch that wants gradients has some; None if it cannot be given, where an array is made of it."""
    try:
        return numbers_of(feed(predictor, x.clone().requires_grad_() + 0)).requires_grad
    except Exception:
        return None


def in_batches_of(
    size: int | None, ask: Callable[[Tensor], Tensor], x: Float[Tensor, "n *shape"]
) -> Shaped[Tensor, "n *outputs"]:
    """Answers of `ask`, which takes `size` rows, None for any number; the last batch is filled up with its last row.

    Right where a row's answer does not depend on the others in its batch.
    """
    if size is None:
        return ask(x)
    parts = []
    for rows in x.split(size):
        filling = rows[-1:].expand(size - len(rows), *rows.shape[1:])
        parts.append(ask(torch.cat([rows, filling]))[: len(rows)])
    return torch.cat(parts)
