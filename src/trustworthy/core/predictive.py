"""What a model answers, draw by draw: the one way to ask a fixed or a stochastic model about many inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import ModelContractError
from trustworthy.core.guard import precision, undisturbed
from trustworthy.core.protocols import Together, as_posterior, drawn, members_of, together

AT_ONCE, FEWEST = {"cpu": 2**14, "": 2**24}, 8
"""Numbers of the inputs that several draws are asked about in one pass at most, by the device ("" for any other), and
draws below which one pass for all takes as long as one for each.

On a CPU a pass over more than fits into its caches takes longer (benchmarks/stochastic.py).
"""


ROWS, NUMBERS = 256, 2**22
"""Rows, and numbers in them, that are asked about in one forward pass at most, where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Predictive:
    """The answers of each draw to each input.

    members : (draws, n, *outputs); of a classifier logits (draws, n, classes). A fixed model has one draw.
    """

    members: Float[Tensor, "draws n *outputs"]

    @property
    def mean(self) -> Float[Tensor, "n *outputs"]:
        """Mean of the outputs over the draws."""
        return self.members.mean(0)

    @property
    def std(self) -> Float[Tensor, "n *outputs"]:
        """Standard deviation of the outputs over the draws, of the draws themselves (no correction); 0 for one."""
        return self.members.std(0, correction=0)

    @property
    def logits(self) -> Float[Tensor, "n classes"]:
        """Scores of the classifier that averages probabilities: their logarithm, see `pooled`."""
        return pooled(self.members)

    @property
    def probabilities(self) -> Float[Tensor, "n classes"]:
        """Mean over the draws of the probabilities, eqs. (2.6) and (2.27)."""
        return self.logits.softmax(1)

    @property
    def entropy(self) -> Float[Tensor, " n"]:
        """Of a classifier, the entropy of the mean probabilities in nats, in [0, log(classes)]: all that is unsure."""
        return _entropy(self.logits)

    @property
    def expected_entropy(self) -> Float[Tensor, " n"]:
        """Of a classifier, the mean over the draws of their entropies in nats: what each of them holds for chance."""
        return torch.stack([_entropy(logits) for logits in self.members]).mean(0)

    @property
    def mutual_information(self) -> Float[Tensor, " n"]:
        """Of a classifier, `entropy` - `expected_entropy` in nats, >= 0: how far the draws disagree; 0 for one draw.

        Reference: Houlsby et al., "Bayesian active learning for classification and preference learning", 2011.
        """
        return (self.entropy - self.expected_entropy).clamp_min(0.0)


def predict(
    model: Any,
    x: Shaped[Tensor | np.ndarray, "n *shape"],
    *,
    draws: int | None = None,
    batch_size: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> Predictive:
    """Ask `draws` predictors of `model` about every row of `x`, in eval mode and without gradients.

    Parameters
    ----------
    model : a posterior, or a callable from a batch (batch, *shape) to outputs (batch, *outputs).
    x : inputs; batches of them are moved to `device` (None: where they are), the answers come back to where `x` is.
        Real numbers of an array are brought to the precision of the model's weights, as in training.
    draws : >= 1; None for all members of an ensemble, and for one draw of anything else. Every draw answers all
        batches, so that a member of an ensemble is asked about all inputs. A network that draws anew whenever it is
        asked answers small batches for several draws in one pass (`AT_ONCE`).
    batch_size : inputs in one forward pass, >= 1; None for 256, or fewer of large images (`NUMBERS`).
    generator : on `device`, source of all randomness; None uses torch's global stream.

    Raises
    ------
    InvalidInput, ModelContractError
        Where an argument breaks its contract; where the model gives another number of draws, draws of different
        shapes, or anything but one tensor row for each input.
    """
    x = _tensor(model, x)
    if batch_size is None:
        batch_size = max(1, min(ROWS, NUMBERS // max(1, x[:1].numel())))
    checks.integer("batch_size", batch_size, at_least=1)
    place = x.device if device is None else device
    draws = checks.integer("draws", members_of(model) or 1 if draws is None else draws, at_least=1)
    with undisturbed(model, x[:1].to(place), generator), torch.no_grad():
        several = _several(model, x[:batch_size].to(place), draws)
        if several is not None:
            return Predictive(
                torch.cat([several(batch.to(place)).to(x.device) for batch in x.split(batch_size)], dim=1)
            )
        members = [
            torch.cat([_answer(predictor, batch.to(place)).to(x.device) for batch in x.split(batch_size)])
            for predictor in drawn(model, draws)
        ]
    return Predictive(stacked(members))


def predict_in_chunks(
    model: Any, x: Shaped[Tensor | np.ndarray, "n *shape"], *, chunk: int, **asked: Any
) -> Iterator[Predictive]:
    """Predictions for `chunk` rows of `x` after another, so that the draws of no more rows than these are held at once.

    An ensemble answers as to all rows at once, to the bit where `chunk` is a multiple of the batch size. A model that
    draws at random draws anew for each chunk: what is said of a row has the same distribution, rows of different
    chunks share no draw.

    Parameters
    ----------
    chunk : rows, >= 1. asked : what `predict` takes by name: `draws`, `batch_size`, `generator`, `device`.
    """
    checks.integer("chunk", chunk, at_least=1)
    return (predict(model, rows, **asked) for rows in _tensor(model, x).split(chunk))


def _tensor(model: Any, x: Tensor | np.ndarray) -> Tensor:
    if isinstance(x, Tensor):
        return x
    rows = torch.from_numpy(np.require(x, None, ["C", "W"]))  # whose memory torch can share
    return rows.to(precision(model)) if rows.is_floating_point() else rows


def _several(model: Any, batch: Tensor, draws: int) -> Callable[[Tensor], Tensor] | None:
    """How all draws of a batch as large as `batch` are asked, some of them in each pass; None where one by one."""
    at_once = AT_ONCE.get(batch.device.type, AT_ONCE[""]) // max(1, batch.numel())
    fewest = FEWEST if members_of(model) is None else draws  # members are asked all at once, or one by one
    ask = together(as_posterior(model)) if draws > 1 and at_once >= fewest else None
    if ask is None:
        return None
    try:
        ask(batch[:1], 2)
    except Exception:  # vmap refuses what looks at numbers, .item() for instance; and what is wrong is told by a loop
        return None
    counts = [len(part) for part in torch.arange(draws).split(at_once)]
    return lambda x: torch.cat([_answers(ask, x, count) for count in counts])


def _answers(ask: Together, x: Tensor, count: int) -> Tensor:
    outputs = ask(x, count)
    _answer(lambda _: outputs[0], x)
    return outputs.detach()


def stacked(outputs: Sequence[Tensor]) -> Float[Tensor, "draws n *outputs"]:
    """The outputs of several draws as one tensor; refuses draws of different shapes."""
    shapes = {tuple(output.shape) for output in outputs}
    if len(shapes) > 1:
        raise ModelContractError(
            f"all draws of a model must answer with one shape, got {' and '.join(map(str, sorted(shapes)))} for the "
            "same inputs; give every member the same outputs."
        )
    return torch.stack(list(outputs))


def pooled(logits: Float[Tensor, "draws n classes"] | Sequence[Tensor]) -> Float[Tensor, "n classes"]:
    """One score matrix for several draws of the logits: the log of the mean probabilities; a single draw as it is."""
    if len(logits) == 1:
        return logits[0]
    draws = logits if isinstance(logits, Tensor) else stacked(logits)
    return draws.log_softmax(-1).logsumexp(0) - math.log(len(draws))


def _entropy(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs.clamp_min(torch.finfo(logs.dtype).min)).sum(-1)  # a class at -inf adds 0, not NaN


def _answer(predictor: Any, x: Tensor) -> Tensor:
    output = predictor(x)
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != len(x):
        kind = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelContractError(
            f"the model must return a tensor with one row for each of {len(x)} inputs, got {kind}."
        )
    return output.detach()
