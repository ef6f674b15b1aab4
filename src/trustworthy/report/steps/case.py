"""What a step of an audit is given: one model, the examples, the plan, and the frame of a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import softmax
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.core.threat import Bounds
from trustworthy.metrics import bootstrap_interval
from trustworthy.report.examples import Examples
from trustworthy.report.finding import Finding
from trustworthy.report.plan import Plan
from trustworthy.report.rows import stratified_rows
from trustworthy.report.subject import Subject


class NotApplicable(Exception):
    """A step says that it does not apply to this model or data, and why."""


@dataclass(frozen=True)
class Measured:
    """What a step returns: findings, and the arrays that they name."""

    findings: list[Finding]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """One model on the examples. `advance(share)` tells how much of the running step is done."""

    subject: Subject
    examples: Examples
    plan: Plan
    seed: int
    device: torch.device
    advance: Callable[[float], None] = lambda share: None

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """True classes."""
        return self.examples.y.numpy()

    @cached_property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """Predicted classes."""
        return self.subject.logits.argmax(1)

    @cached_property
    def correct(self) -> Bool[np.ndarray, " n"]:
        """Which predictions are right."""
        return self.predictions == self.labels

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "n classes"]:
        """Softmax of the logits."""
        return softmax(self.subject.logits, axis=1)

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(self.correct.mean())

    @property
    def commonest_share(self) -> float:
        """Accuracy of always guessing the commonest class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    @property
    def accuracy_above_guessing(self) -> float | None:
        """Share of the error of that guess which the model removes; None where the guess is always right."""
        guess = self.commonest_share
        return (self.accuracy - guess) / (1.0 - guess) if guess < 1.0 else None

    @property
    def bounds(self) -> Bounds | None:
        """Box of valid inputs."""
        return self.examples.domain.bounds

    @cached_property
    def attacked(self) -> tuple[Any, Tensor, Tensor]:
        """Model, inputs and labels as an attack sees them: the features of a table in standard deviations."""
        domain, x = self.examples.domain, self.examples.x.to(self.device)
        return domain.asked(self.subject.model), domain.attacked(x), self.examples.y.to(self.device)

    def generator(self, *names: object) -> torch.Generator:
        """Stream of random numbers of this model under `names`."""
        return seeds.torch_generator(self.seed, self.subject.name, *names, device=self.device)

    def sample(self, name: str, count: int) -> Int[np.ndarray, " kept"]:
        """Row numbers of `count` examples, the classes in proportion, the same for every model."""
        return stratified_rows(self.labels, count, seeds.derived_seed(self.seed, name))

    def classify(self, x: Float[Tensor, "n *shape"]) -> Int[np.ndarray, " n"]:
        """Predicted classes of other inputs than the examples."""
        found = self.subject.predict(x, batch=self.plan.batch, seed=self.seed, device=self.device)
        return found.logits.argmax(1).numpy()

    def interval(self, name: str, statistic: Callable[..., float], *arrays: np.ndarray) -> tuple[float, float] | None:
        """Bootstrap interval of a statistic of the examples; None for a single example."""
        if len(arrays[0]) < 2:
            return None
        return bootstrap_interval(
            statistic,
            *arrays,
            level=self.plan.level,
            resamples=self.plan.resamples,
            random_state=seeds.numpy_generator(self.seed, self.subject.name, "bootstrap", name),
        )

    def finding(self, name: str, value: float | None, **given: Any) -> Finding:
        """A finding about this model; the frame fills in everything that is the same for all of them."""
        conditions = {"n": len(self.examples.x), "data": self.examples.name, **given.pop("conditions", {})}
        return Finding(
            name=name,
            value=value,
            model=self.subject.name,
            level=self.plan.level,
            conditions=conditions,
            seed=self.seed,
            device=str(self.device),
            wall_time=0.0,
            **given,
        )
