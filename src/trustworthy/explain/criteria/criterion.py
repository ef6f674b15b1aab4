"""The frame that every criterion shares: pose again the question that was explained, and judge the explanation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import Array
from trustworthy.core.protocols import AnyClassifier
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria.curves import Curve
from trustworthy.explain.explainer import Explainer, Question, asked


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

    def __post_init__(self) -> None:
        checks.integer("eot", self.eot, at_least=1)

    @property
    @abstractmethod
    def name(self) -> str:
        """What a method is told that makes a ranking for a criterion, see `Explainer.for_criterion`."""

    @property
    @abstractmethod
    def higher_is_better(self) -> bool:
        """Which way is better."""

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

    @property
    def name(self) -> str:
        return self.criterion.name

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        most = self.criterion.judge(question, attribution, explainer).curve
        least = self.criterion.judge(question, attribution.reversed(), explainer).curve
        if most is None or least is None:
            raise InvalidInput(f"criterion must be one with a curve, got {type(self.criterion).__name__}.")
        gain = most.value - least.value
        curve = Curve(shares=most.shares, value=gain if self.criterion.higher_is_better else -gain)
        return Judged(value=curve.auc, calls=question.problem.queries, curve=curve)
