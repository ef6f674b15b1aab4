"""The shapes of things that users bring: no wrapper class is needed to use the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import torch
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import ModelContractError
from trustworthy.core.guard import reachable_modules

Predictor: TypeAlias = Callable[[Tensor], Tensor]
"""A batch (batch, *shape) in, outputs (batch, *outputs) out."""

Classifier: TypeAlias = Callable[[Tensor], Tensor]
"""A batch (batch, *shape) in, logits (batch, classes) out; images lie in [0, 1], normalisation is a layer inside."""


@runtime_checkable
class Posterior(Protocol):
    """A stochastic model: a distribution over predictors, of which a caller asks for as many as it averages.

    An ensemble gives its members in turn, so that as many draws as members are exactly the ensemble, and says by `len`
    how many they are; a network with random weights gives weights drawn anew. Each draw is one function: it may be
    asked about several batches.
    """

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterable[Predictor]:
        """`count` >= 1 predictors; random ones come from `generator`, or from torch's global stream."""
        ...

    def modules(self) -> Iterable[nn.Module]:
        """Every module that a draw may run, so that its mode and its state can be kept as they are."""
        ...


Together: TypeAlias = Callable[[Tensor, int], Tensor]
"""A batch (batch, *shape) and a count in, the answers of as many fresh draws (count, batch, *outputs) out."""


AnyClassifier: TypeAlias = Callable[[Any], Any] | Posterior
"""A `Classifier`, a posterior of them, or a callable on NumPy arrays to scores (batch, classes) or labels (batch,)."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """A callable as a posterior whose every draw is the callable itself; a random one draws when it is called."""

    model: Predictor

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterator[Predictor]:
        """The callable, `count` times."""
        return (self.model for _ in range(count))

    def modules(self) -> Iterator[nn.Module]:
        """The modules that the callable is, holds or refers to."""
        return iter(reachable_modules(self.model))

    def together(self) -> Together | None:
        """How several draws are asked in one pass, by `torch.func.vmap`; None where that is not known to be right.

        It is for a module that holds a layer with the attribute `draws_together = True`: one that draws from torch's
        global stream alone. What draws from NumPy would draw once for all.
        """
        if not any(getattr(module, "draws_together", False) for module in self.modules()):
            return None

        def ask(x: Tensor, count: int) -> Tensor:
            each = torch.func.vmap(lambda _: self.model(x), randomness="different")
            return each(torch.arange(count, device=x.device))

        return ask


def as_posterior(model: Any) -> Posterior:
    """A posterior as it is, any other callable as `Repeated`. Raises ModelContractError for anything else."""
    if isinstance(model, Posterior):
        return model
    if not callable(model):
        remedy = "; pass model.predict" if hasattr(model, "predict") else ""
        raise ModelContractError(f"model must be callable, got {type(model).__name__}{remedy}.")
    return Repeated(cast("Predictor", model))


def drawn(model: Any, count: int, generator: torch.Generator | None = None) -> Iterator[Predictor]:
    """`count` draws of a posterior or a callable; refuses a posterior that gives another number of them."""
    checks.integer("draws", count, at_least=1)
    posterior, given = as_posterior(model), 0
    for predictor in posterior.draws(count, generator):
        given += 1
        if given > count:
            break
        yield predictor
    if given != count:
        amount = "more" if given > count else f"{given}"
        raise ModelContractError(
            f"draws({count}) of {type(posterior).__name__} gave {amount} predictors; it must give exactly as many as "
            "asked, an ensemble by beginning again at its first member."
        )


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A posterior each of whose draws is asked by `ask`, a function of the draw and the inputs."""

    posterior: Posterior
    ask: Callable[[Predictor, Tensor], Tensor]

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterator[Predictor]:
        """Draws of the posterior, each asked through `ask`."""
        return (partial(self.ask, predictor) for predictor in drawn(self.posterior, count, generator))

    def modules(self) -> Iterable[nn.Module]:
        """Modules of the model."""
        return self.posterior.modules()

    def together(self) -> Together | None:
        """As the posterior inside, if it can: `ask` is called for each draw, with what was answered to its question."""
        inner = together(self.posterior)
        return None if inner is None else partial(self._together, inner)

    def _together(self, inner: Together, x: Tensor, count: int) -> Tensor:
        asked: list[tuple[Tensor, Tensor]] = []  # the question put, and what all draws answer to it

        def answer(draw: int, question: Tensor) -> Tensor:
            known = next((found for put, found in asked if put.shape == question.shape and put.equal(question)), None)
            if known is None:
                known = inner(question, count)
                asked.append((question, known))
            return known[draw]

        return torch.stack([self.ask(partial(answer, draw), x) for draw in range(count)])


def members_of(model: Any) -> int | None:
    """How many predictors an ensemble has, its `len`; None for what draws anew, or is one predictor.

    An `nn.Sequential` has a length and no draws, and is no ensemble.
    """
    while isinstance(inner := getattr(model, "posterior", None), Posterior):  # `Wrapped`, and what is like it
        model = inner
    return len(model) if isinstance(model, Posterior) and isinstance(model, Sized) else None


def together(posterior: Posterior) -> Together | None:
    """How a posterior is asked for several draws in one pass; None where it gives its draws one by one."""
    given: Any = getattr(posterior, "together", None)
    return None if given is None else given()
