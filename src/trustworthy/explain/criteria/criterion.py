"""The frame that every criterion shares: pose again the question that was explained, and judge the explanation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import Array
from trustworthy.core.protocols import AnyClassifier
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.explainer import Explainer, Question, asked


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """One number per example where the most relevant share of its features is treated apart from the rest.

    shares : of the features, ascending, in [0, 1].
    value : (n, points), finite.
    unbroken : (n, points), where nothing that was found changes the prediction, so that `value` stands for inf; None
        for curves that know no such thing.
    """

    shares: tuple[float, ...]
    value: Float[Tensor, "n points"]
    unbroken: Bool[Tensor, "n points"] | None = None

    @property
    def auc(self) -> Float[Tensor, " n"]:
        """Area under the curve of each example by trapezoids, shares in percent as in Table 7.1."""
        return torch.trapezoid(self.value, 100.0 * self.value.new_tensor(self.shares))


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """What a criterion says of the explanation of each example.

    value : (n,); of a curve, the area under it.
    calls : (n,), rows shown to the model for it.
    error : (n,), standard error of the value where the criterion samples; None where it does not.
    """

    value: Float[Tensor, " n"]
    calls: Int[Tensor, " n"]
    error: Float[Tensor, " n"] | None = None
    curve: Curve | None = None


@dataclass(frozen=True, kw_only=True)
class Criterion(ABC):
    """A measure of explanations is a value: its fields are its settings, calling it judges a batch.

    Parameters
    ----------
    eot : draws averaged per question to a stochastic model; an ensemble is always asked for all of its members.
    """

    eot: int = 1

    name: ClassVar[str]
    """What a method is told that makes a ranking for a criterion, see `Explainer.for_criterion`."""
    higher_is_better: ClassVar[bool]
    """Which way is better. One whose fields say so sets it, as its name, on itself."""

    def __post_init__(self) -> None:
        checks.integer("eot", self.eot, at_least=1)

    @abstractmethod
    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        """Values of all examples; `question` is the one that was explained."""

    @final
    def __call__(
        self,
        model: AnyClassifier,
        x: Array,
        attribution: Attribution,
        *,
        explainer: Explainer | None = None,
        generator: torch.Generator | None = None,
    ) -> Judged:
        """Judge the explanations of the batch `x`.

        Parameters
        ----------
        model, x : as they were explained. The model is left as it was.
        attribution : the explanations; what they explain, classes and groups, is read from them.
        explainer : the method that made them, for criteria that explain neighbours too.
        generator : source of all randomness; None uses torch's global stream.

        Raises
        ------
        InvalidInput, ModelContractError : an argument or the model's output breaks its contract.
        """
        if len(x) != len(attribution.scores):
            raise InvalidInput(
                f"attribution must explain the rows of x, got {len(attribution.scores)} for {len(x)}; take some of "
                "them with attribution.rows(chosen)."
            )
        given = {"target": attribution.target, "groups": attribution.groups}
        with asked(model, x, attribution.y, **given, generator=generator, eot=self.eot) as question:
            return self.judge(question, attribution, explainer)


@dataclass(frozen=True, kw_only=True)
class Area(Criterion):
    """How much better an order is than its reverse: the area between the curves of most and of least relevant first.

    What all orders share, such as the choice of a baseline, cancels. Above 0 where the order tells more than its
    reverse; a random order has 0 on average.

    Parameters
    ----------
    criterion : one with a curve.

    Cost: twice that of `criterion`. Reference: Blücher et al. 2024, "symmetric relevance gain".
    """

    criterion: Criterion

    higher_is_better: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "name", self.criterion.name)

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        most = self.criterion.judge(question, attribution, explainer).curve
        least = self.criterion.judge(question, attribution.reversed(), explainer).curve
        if most is None or least is None:
            raise InvalidInput(f"criterion must be one with a curve, got {type(self.criterion).__name__}.")
        gain = most.value - least.value
        curve = Curve(shares=most.shares, value=gain if self.criterion.higher_is_better else -gain)
        return Judged(value=curve.auc, calls=question.problem.queries, curve=curve)


def as_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Check at least two shares in [0, 1], ascending."""
    found = tuple(checks.real("shares", share, at_least=0.0, at_most=1.0) for share in shares)
    if len(found) < 2 or any(after <= before for before, after in pairwise(found)):
        raise InvalidInput(f"shares must be at least two, each greater than the one before, got {list(shares)!r}.")
    return found


def tops(attribution: Attribution, shares: Sequence[float]) -> Bool[Tensor, "n points groups"]:
    """The most relevant groups of each example at each share; each set holds the ones before it."""
    return torch.stack([attribution.top(share) for share in shares], dim=1)
