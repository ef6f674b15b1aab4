"""The frame that every explanation shares: check, guard, ask, and put the features in order.

`__call__` of an `Explainer` poses a `Question`, the door to the model that counts what it is asked; a method writes
`explain(question)`. Criteria pose questions too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.attacks.goal import Goal
from trustworthy.attacks.losses import Classes, Logits, LossFunction, PerExample
from trustworthy.attacks.problem import Problem
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError, NoGradient
from trustworthy.core.free import Examples
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import Array, as_batch, as_classifier, as_labels
from trustworthy.core.predictive import NUMBERS, ROWS
from trustworthy.core.protocols import AnyClassifier, Posterior
from trustworthy.explain.attribution import Attribution, Rule, ordered
from trustworthy.explain.groups import Groups, as_groups

Baseline = float | Tensor
"""What a feature that is missing looks like, in the units of the input: a number, or a tensor (*shape)."""


def own_logit(logits: Logits, y: Classes, target: Classes | None = None) -> PerExample:
    """The logit of class y, or how far it exceeds that of the target."""
    own = logits.gather(1, y[:, None]).squeeze(1)
    return own if target is None else own - logits.gather(1, target[:, None]).squeeze(1)


@dataclass(frozen=True, eq=False)
class Score(Goal):
    """The number that is explained, see `own_logit`, of the classes y and `target` (batch,); nothing is success."""

    loss: LossFunction = own_logit

    def reached(self, logits: Logits) -> Bool[Tensor, " batch"]:
        return torch.zeros_like(logits[:, 0], dtype=torch.bool)


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """One batch of examples, why it is predicted as it is, and the model that answers.

    model : as a posterior on tensors; ask it through the methods, which count.
    x : (n, *shape). y, target : (n,), see `Score`. groups : what a feature is.
    """

    problem: Problem
    groups: Groups
    generator: torch.Generator | None

    @property
    def x(self) -> Examples:
        """The examples (n, *shape)."""
        return self.problem.x

    @property
    def goal(self) -> Score:
        """What is explained."""
        assert isinstance(self.problem.goal, Score)
        return self.problem.goal

    @property
    def model(self) -> Posterior:
        """The model itself, for an attack; what it is asked there is counted by `count`."""
        return self.problem.posterior

    def count(self, calls: Int[Tensor, " n"]) -> None:
        """Add calls that were not made through this question."""
        self.problem.queries.add_(calls)

    def scores(self, points: Examples, rows: Int[Tensor, " m"] | None = None) -> Float[Tensor, " m"]:
        """The explained number at points (m, *shape), each of them instead of example `rows`; None for all in turn."""
        found = []
        for part, some in self._parts(points, rows):
            with torch.no_grad():
                seen = part.asked(some)
                draws = [part.goal.losses(part.logits(predictor, seen)) for predictor in part.draws()]
            found.append(torch.stack(draws).mean(0))
        return torch.cat(found)

    def probabilities(self, points: Examples, rows: Int[Tensor, " m"] | None = None) -> Float[Tensor, "m classes"]:
        """Probabilities of all classes at points, the mean over the draws of a stochastic model."""
        return torch.cat([part.scores(some).softmax(1) for part, some in self._parts(points, rows)])

    def gradients(
        self, points: Examples, rows: Int[Tensor, " m"] | None = None
    ) -> tuple[Float[Tensor, "m *shape"], Float[Tensor, " m"]]:
        """Gradient of the explained number at points (m, *shape), and the number itself; see `scores`."""
        asked = (part.ascent(some) for part, some in self._parts(points, rows))
        gradients, values, _ = zip(*asked, strict=True)
        return gradients[0] if len(gradients) == 1 else torch.cat(gradients), torch.cat(values)

    def kept(
        self, chosen: Bool[Tensor, "n k groups"], baseline: Baseline = 0.0
    ) -> tuple[Float[Tensor, "nk *shape"], Int[Tensor, " nk"]]:
        """Each example with the groups of each coalition kept and the rest at the baseline, and whose they are."""
        n, k = chosen.shape[:2]
        free = self.groups.free(chosen).expand(n, k, *self.x.shape[1:])
        points = torch.where(free, self.x[:, None], self.without(baseline)[:, None])
        return points.flatten(0, 1), torch.arange(n, device=self.x.device).repeat_interleave(k)

    def without(self, baseline: Baseline = 0.0) -> Float[Tensor, "some *shape"]:
        """Each example, or one for all, with all groups at the baseline; what is of no group, padding, stays."""
        return self.replaced(as_baseline(baseline, self.x))

    def replaced(self, points: Float[Tensor, "*lead shape"]) -> Tensor:
        """Points (..., n or 1, *shape) where an example has features, and the example elsewhere."""
        return points if self.groups.featured is None else torch.where(self.groups.featured, points, self.x)

    def part(self, rows: Int[Tensor, " some"]) -> Question:
        """The same question about some of the examples; calls count in this one."""
        return replace(self, problem=self.problem.subset(rows), groups=self.groups.rows(rows))

    def in_turn(self, count: int) -> tuple[Tensor, ...]:
        """0 .. `count` - 1 in parts: so many points of every example fit into one pass."""
        return torch.arange(count, device=self.x.device).split(max(1, self._at_once // len(self.x)))

    def values(self, chosen: Bool[Tensor, "n k groups"], baseline: Baseline = 0.0) -> Float[Tensor, "n k"]:
        """The explained number where only the groups of a coalition are kept; in parts, never all points at once."""
        parts = [
            self.scores(*self.kept(chosen[:, some], baseline)).reshape(len(self.x), -1)
            for some in self.in_turn(chosen.shape[1])
        ]
        return torch.cat(parts, dim=1)

    @property
    def _at_once(self) -> int:
        """Points in one pass."""
        return max(1, min(ROWS, NUMBERS // max(1, self.x[:1].numel())))

    def _parts(self, points: Examples, rows: Int[Tensor, " m"] | None) -> Iterator[tuple[Problem, Examples]]:
        rows = torch.arange(len(points), device=points.device) if rows is None else rows
        for some, whose in zip(points.split(self._at_once), rows.split(self._at_once), strict=True):
            part = self.problem.subset(whose)
            yield part, some
            self.problem._checked = part._checked


@dataclass(frozen=True, eq=False)
class Scored:
    """What a method finds: a score of each group, and what else it has to say.

    error : standard error of each score. order : of the groups, where it is not that of the scores. rules : see `Rule`.
    """

    scores: Float[Tensor, "n groups"]
    error: Float[Tensor, "n groups"] | None = None
    order: Int[Tensor, "n groups"] | None = None
    rules: tuple[Rule, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Explainer(ABC):
    """A way to explain predictions is a value: its fields are its settings, calling it explains a batch.

    Parameters
    ----------
    eot : draws averaged per question to a stochastic model; an ensemble is always asked for all of its members.
    """

    eot: int = 1

    asks: ClassVar[Literal["gradients", "scores", "labels"]] = "scores"
    """What it needs of a model: its gradients, its scores without them, or its decisions alone."""
    ranks: ClassVar[Literal["size", "value"]] = "value"
    """Whether features are in the order of the size of their scores, or of their value."""
    of_prediction: ClassVar[bool] = False
    """Whether the explained class must be the predicted one."""

    def __post_init__(self) -> None:
        checks.integer("eot", self.eot, at_least=1)

    @abstractmethod
    def explain(self, question: Question) -> Scored:
        """Scores of the groups of each example."""

    def for_criterion(self, name: str) -> Explainer:
        """The method as it ranks features for the criterion `name`: itself, where it knows one ranking."""
        return self

    @final
    def __call__(
        self,
        model: AnyClassifier,
        x: Array,
        y: Array | None = None,
        *,
        target: Array | int | None = None,
        groups: Any = None,
        generator: torch.Generator | None = None,
    ) -> Attribution:
        """Explain why `model` predicts what it does on the batch `x`.

        Parameters
        ----------
        model : a callable from a batch to logits, or a posterior; with NumPy inputs also one on NumPy arrays to scores
            or labels. Left as it was.
        x : inputs (n, *shape), floating and finite.
        y : the classes (n,) that are explained; None for the predicted ones.
        target : classes (n,), or one for all: why y and not this one; None for against all others.
        groups : what a feature is, see `as_groups`.
        generator : source of all randomness; None uses torch's global stream.

        Raises
        ------
        InvalidInput, ModelContractError : an argument or the model's output breaks its contract; `target` is the
            explained class; the method explains predictions alone, and `y` is another class.
        """
        with asked(model, x, y, target=target, groups=groups, generator=generator, eot=self.eot) as question:
            if self.of_prediction and y is not None:  # what was just predicted need not be predicted again by a draw
                check_predicted(question)
            found = self._explained(question)
            absent = ~question.groups.present.expand(found.scores.shape)
            _check_scores(found.scores.masked_fill(absent, 0.0))
            scores = found.scores.masked_fill(absent, torch.nan)
            order = ordered(scores.abs() if self.ranks == "size" else scores) if found.order is None else found.order
            goal, calls = question.goal, question.problem.queries
        given = {"groups": question.groups, "calls": calls, "y": goal.y, "target": goal.target}
        error = None if found.error is None else found.error.masked_fill(absent, torch.nan)
        return Attribution(scores=scores, order=order, error=error, rules=found.rules, **given)

    def _explained(self, question: Question) -> Scored:
        try:
            return self.explain(question)
        except NoGradient as error:
            from trustworthy.explain import METHODS  # which hold this class

            others = sorted(name for name, method in METHODS.items() if method.asks != "gradients")
            raise NoGradient(
                f"{type(self).__name__} needs gradients, and the model's output has none with respect to its input; "
                f"remove no_grad, detach or NumPy from its forward pass, or explain it by one of {', '.join(others)}."
            ) from error


@contextmanager
def asked(
    model: AnyClassifier,
    x: Array,
    y: Array | None = None,
    *,
    target: Array | int | None = None,
    groups: Any = None,
    generator: torch.Generator | None = None,
    eot: int = 1,
) -> Iterator[Question]:
    """Check the arguments of `Explainer.__call__` and pose the question; model and random streams stay undisturbed."""
    with torch.inference_mode(False):
        inputs = as_batch(x, None)
        features = as_groups(groups, inputs)
        known = None if y is None else as_labels("y", y, inputs)
        wanted = None if target is None else _target(target, inputs)
        classes = 1 + max((int(some.max()) for some in (known, wanted) if some is not None), default=0)
        posterior = as_classifier(model, isinstance(x, np.ndarray), classes)
        nobody = Score(torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device))
        problem = Problem(posterior, inputs, nobody, eot=eot, generator=generator)
        question = Question(problem=problem, groups=features, generator=generator)
        with undisturbed(model, inputs, generator):
            if known is None:
                known = question.probabilities(inputs).argmax(1)
            goal = Score(known, wanted)
            _check_target(goal)
            problem.goal, problem._checked = goal, False
            yield question


def _check_scores(scores: Float[Tensor, "n groups"]) -> None:
    wrong = scores.isnan().any(1).nonzero().squeeze(1).tolist()
    if wrong:
        raise ModelContractError(
            f"the model must answer with numbers where features are changed, got NaN on the way to the scores of row "
            f"{wrong[0]}; look for a division, a logarithm or a root that leaves its domain."
        )


def check_predicted(question: Question) -> None:
    """Refuse examples that the model predicts otherwise than y: their prediction is as good as changed."""
    predicted = question.probabilities(question.x).argmax(1)
    wrong = (predicted != question.goal.y).nonzero().squeeze(1).tolist()
    if wrong:
        first = wrong[0]
        raise InvalidInput(
            f"y must be the prediction, which is what is explained, but {len(wrong)} of {len(predicted)} rows are "
            f"predicted otherwise, the first at row {first}: y = {int(question.goal.y[first])}, predicted "
            f"{int(predicted[first])}; leave out y, or those rows."
        )


def as_baseline(baseline: Baseline, x: Examples) -> Float[Tensor, "one *shape"]:
    """Check a baseline for the batch `x`; a batch of one example."""
    if not isinstance(baseline, Tensor):
        return torch.full_like(x[:1], checks.real("baseline", baseline))
    if baseline.shape != x.shape[1:] or not bool(baseline.isfinite().all()):
        raise InvalidInput(
            f"baseline must be a number or a finite tensor of the shape of one example, {tuple(x.shape[1:])}, got "
            f"{tuple(baseline.shape)}."
        )
    return baseline.to(x)[None]


def as_background(background: Array, x: Examples) -> Float[Tensor, "m *shape"]:
    """Check examples that what is missing in `x` is taken from."""
    rows = as_batch(background, None, "background")
    if rows.shape[1:] != x.shape[1:]:
        raise InvalidInput(
            f"background must have the shape (m, {', '.join(map(str, x.shape[1:]))}), got {tuple(rows.shape)}; pass "
            "rows of the training data."
        )
    return rows.to(x)


def _target(target: Array | int, x: Tensor) -> Tensor:
    return as_labels("target", np.full(len(x), target) if isinstance(target, int) else target, x)


def _check_target(goal: Score) -> None:
    if goal.target is None:
        return
    same = (goal.target == goal.y).nonzero().squeeze(1).tolist()
    if same:
        raise InvalidInput(
            f"target must be another class than the one that is explained, but both are {int(goal.y[same[0]])} in row "
            f"{same[0]}; name the class that was expected instead."
        )
