"""One attack on one batch: the model behind a door that counts queries and gives losses and gradients."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trustworthy.attacks.goal import AbstractGoal, Goal
from trustworthy.attacks.judgement import FreshDraws
from trustworthy.attacks.losses import Logits, PerExample
from trustworthy.core.errors import ModelContractError, NoGradient, warn
from trustworthy.core.free import Examples, Free
from trustworthy.core.grid import Grid
from trustworthy.core.predictive import pooled
from trustworthy.core.protocols import Posterior, Predictor, drawn, members_of
from trustworthy.core.threat import rounded_inwards


class Problem:
    """A model, the inputs to attack, what of them is free to change, and what counts as success.

    Rows of a sub-problem share the query counts. A search moves freely; the model is asked about the points of the
    `grid`, rounded towards the inputs, and gradients there are passed straight through. Of inputs in half precision
    `x`, and with it the search, is in float32; those points are rounded likewise, to the type of the inputs, `dtype`.
    """

    def __init__(
        self,
        posterior: Posterior,
        x: Examples,
        goal: AbstractGoal,
        *,
        eot: int = 1,
        free: Free = None,
        grid: Grid | None = None,
        generator: torch.Generator | None = None,
        judge: FreshDraws | None = None,
        noisy: bool = False,
    ) -> None:
        # Steps of a search are far shorter than what half precision tells apart; only the model sees rounded points.
        self.dtype, self.x = x.dtype, single(x)
        self.posterior, self.goal, self.free, self.grid = posterior, goal, free, grid
        self.generator, self.judge = generator, judge
        # An ensemble is its members, all of them: a fixed model. A stochastic one proves nothing by one answer.
        members = members_of(posterior)
        self.eot = members or eot
        self.is_noisy = noisy or judge is not None or (eot > 1 and members is None)
        self.rows = torch.arange(len(x), device=x.device)
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self.nan_seen = torch.zeros((), dtype=torch.bool, device=x.device)
        self._checked = False

    def subset(self, chosen: Bool[Tensor, " batch"] | Int[Tensor, " some"]) -> Problem:
        """The same problem on some of its examples."""
        part = Problem.__new__(Problem)
        part.__dict__.update(self.__dict__)
        part.x, part.goal, part.rows = self.x[chosen], self.goal.subset(chosen), self.rows[chosen]
        part.free = None if self.free is None else self.free[chosen]
        return part

    def draws(self) -> Iterator[Predictor]:
        """The `eot` predictors that one question is put to."""
        return drawn(self.posterior, self.eot, self.generator)

    def asked(self, x: Examples) -> Examples:
        """Points of the search as the model sees and the caller gets them: on the grid, in the type of the inputs.

        What is so stays as it is.
        """
        if x.dtype != self.x.dtype:
            return x
        x = x if self.grid is None else self.grid.placed(x, self.x)
        return x if x.dtype == self.dtype else rounded_inwards(x, self.x.to(self.dtype))

    def logits(self, predictor: Predictor, x: Examples) -> Logits:
        """One forward pass, of points as the model sees them."""
        self.queries.index_add_(0, self.rows, torch.ones_like(self.rows))
        if self._checked:
            out = single(predictor(x))
            self.nan_seen.logical_or_(out.detach().isnan().any())  # read once, at the end: a GPU is not kept waiting
            return out
        out = single(self.goal.check(_first_answer(predictor, x)))
        self._checked = True
        return out

    def scores(self, x: Examples) -> Logits:
        """Logits without a gradient; of a stochastic model (eot > 1), log of the mean probabilities of `eot` draws."""
        x = self.asked(x)
        with torch.no_grad():
            return pooled([self.logits(predictor, x) for predictor in self.draws()])

    def appraise(self, x: Examples) -> tuple[PerExample, Bool[Tensor, " batch"]]:
        """The loss, of the pooled draws, and whether the attack succeeds at `x`, without a gradient."""
        scores = self.scores(x)
        return self.goal.losses(scores), self.goal.reached(scores)

    def is_adversarial(self, x: Examples) -> Bool[Tensor, " batch"]:
        """Whether the attack succeeds at `x`."""
        return self.goal.reached(self.scores(x))

    def judged(self, x: Examples) -> tuple[Bool[Tensor, " batch"], Bool[Tensor, " batch"]]:
        """As `is_adversarial`, for a result, by the judge if there is one; and whether that is open.

        Refuses a model that answers NaN there, where no class is predicted. Warns where it did so on the way.
        """
        if self.judge is None:
            scores = self.scores(x)
            reached, unsure = self.goal.reached(scores), torch.zeros_like(self.rows, dtype=torch.bool)
            if bool(scores.isnan().any()):
                raise ModelContractError(
                    "the model returned NaN for an input that the attack may choose; no class is predicted there. "
                    "Look for a division, a logarithm or a root that leaves its domain inside the bounds."
                )
        else:
            goal = cast("Goal", self.goal)  # only a goal about classes is posed with a judge
            found = self.judge(self.posterior, self.asked(x), goal.sought, generator=self.generator, batch_size=len(x))
            reached, unsure = found.holds if goal.target is not None else ~found.holds, found.open
            self.queries.index_add_(0, self.rows, torch.full_like(self.rows, self.judge.draws))
        if bool(self.nan_seen):
            warn(
                "the model returned NaN for some inputs that the attack tried; the search avoided them, and may have "
                "missed adversarial examples behind them."
            )
        return reached, unsure

    def ascent(self, x: Examples) -> tuple[Examples, PerExample, Bool[Tensor, " batch"]]:
        """Gradient of the loss and the loss, means over `eot` draws, and whether the attack succeeds at `x`.

        Gradients are averaged, never the step: a sign or unit step has no scale that k draws could divide.
        """
        gradients, losses, logits = zip(*(self._draw(predictor, x) for predictor in self.draws()), strict=True)
        return _mean(gradients), _mean(losses), self.goal.reached(pooled(logits))

    def _draw(self, predictor: Predictor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.asked(x.detach()).requires_grad_()
        logits = self.logits(predictor, x)
        loss = self.goal.losses(logits)
        gradient = torch.autograd.grad(loss.sum(), x, allow_unused=True)[0] if loss.requires_grad else None
        if gradient is None:
            raise NoGradient(
                "the model's output has no gradient with respect to its input; remove no_grad, detach or NumPy from "
                "its forward pass, or use BoundaryAttack (labels are enough) or SquareAttack (scores are enough)."
            )
        return single(gradient), loss.detach(), logits.detach()


def single(values: Tensor) -> Tensor:
    """Half precision as float32, all other types as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean without a copy of all; a single tensor as it is."""
    return tensors[0] if len(tensors) == 1 else functools.reduce(torch.add, tensors) / len(tensors)


def _first_answer(predictor: Predictor, x: Tensor) -> object:
    given = x.clone()  # no leaf, of which torch would speak before we do
    version = given._version
    try:
        out = predictor(given)
    except Exception as error:
        error.add_note(f"raised by the model on the first batch of the attack, {tuple(x.shape)} {x.dtype}.")
        raise
    if given._version != version or not torch.equal(given, x):  # NumPy writes without a trace but the values
        raise ModelContractError("the model changes its input in place; write x = x - ... instead of x -= ....")
    return out
