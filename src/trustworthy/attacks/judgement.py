"""Whether a stochastic model errs: by its mean prediction over fresh draws, with what the draws leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import AnyClassifier


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the mean prediction over the draws is for each example.

    holds : whether it is the class in question.
    open : whether the draws leave that open: the other answer lies within their interval.
    """

    holds: Bool[Tensor, " n"]
    open: Bool[Tensor, " n"]

    @property
    def share(self) -> float:
        """Share of the examples whose mean prediction is the class: the accuracy, of the true classes."""
        return float(self.holds.double().mean())

    @property
    def bounds(self) -> tuple[float, float]:
        """The share if everything open went against it, and if everything open went its way."""
        surely, perhaps = self.holds & ~self.open, self.holds | self.open
        return float(surely.double().mean()), float(perhaps.double().mean())


@dataclass(frozen=True, kw_only=True)
class FreshDraws:
    """Judges by the mean of the probabilities over draws that no search has seen.

    Of a class c and a rival j each draw has a lead, p_c - p_j, in [-1, 1]; c is the mean prediction where the mean lead
    over every rival is positive. Its interval is Student's, with draws - 1 degrees of freedom. An example is decided
    for c where all lower ends are above 0 (true of every lead, so each end has the whole error rate, (1 - level) / 2),
    and against c where an upper end is below 0 (true of one lead of several, so that they share that rate); else it is
    open. Student's interval is approximate; one that holds for any distribution on [-1, 1] (empirical Bernstein) is at
    least 0.27 wide either way after 64 draws, and would leave most of what an attack finds open.

    Members of an ensemble come in turn, not at random, which makes the interval wider than it need be. A fixed model
    leaves nothing open. Cost: `draws` forward passes. Random: the draws.

    Parameters
    ----------
    draws : of each input, >= 2.
    level : of the interval, in (0, 1).
    """

    draws: int = 64
    level: float = 0.95

    def __post_init__(self) -> None:
        checks.integer("draws", self.draws, at_least=2)
        if not 0.0 < checks.real("level", self.level) < 1.0:
            raise InvalidInput(f"level must lie between 0 and 1, got {self.level!r}; give 0.95, say.")

    def __call__(
        self,
        model: AnyClassifier,
        x: Float[Tensor, "n *shape"],
        c: Int[Tensor, " n"],
        *,
        generator: torch.Generator | None = None,
        batch_size: int = 256,
    ) -> Judgement:
        """Whether each of `x` is of the class `c` to `model`, a posterior or a callable on tensors, as for `predict`.

        Raises ModelContractError where a draw is NaN. Memory: draws * batch_size * classes probabilities.
        """
        checks.integer("batch_size", batch_size, at_least=1)
        parts = []
        for some, classes in zip(x.split(batch_size), c.split(batch_size), strict=True):
            members = predict(model, some, draws=self.draws, batch_size=batch_size, generator=generator).members
            exact = torch.promote_types(members.dtype, torch.float32)
            parts.append(self.of(members.softmax(-1, dtype=exact), classes))
        return Judgement(torch.cat([part.holds for part in parts]), torch.cat([part.open for part in parts]))

    def of(self, probabilities: Float[Tensor, "draws n classes"], c: Int[Tensor, " n"]) -> Judgement:
        """Judgement on the classes `c` from the probabilities of each draw."""
        if bool(probabilities.isnan().any()):
            raise ModelContractError(
                "the model returned NaN in one of several draws; no class is predicted there. Look for a division, a "
                "logarithm or a root that leaves its domain."
            )
        draws, n, classes = probabilities.shape
        own = probabilities.gather(-1, c.expand(draws, n)[..., None])
        leads = own - probabilities  # (draws, n, classes), 0 over itself
        mean, error = leads.mean(0), leads.std(0) / math.sqrt(draws)
        rival = torch.ones(n, classes, dtype=torch.bool, device=c.device).scatter_(1, c[:, None], value=False)
        one, several = (self._quantile(over) for over in (1, max(1, classes - 1)))
        sure = ((mean - one * error > 0) | ~rival).all(1)
        against = ((mean + several * error < 0) & rival).any(1)
        holds = probabilities.mean(0).argmax(1) == c
        return Judgement(holds, ~sure & ~against & (error > 0).any(1))

    def _quantile(self, over: int) -> float:
        return float(-stdtrit(self.draws - 1, (1.0 - self.level) / (2 * over)))
