"""What a kind of finding measures: one model, the examples, and the frame of a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import softmax
from torch import Tensor

from trustworthy.core import seeds
from trustworthy.datasets import Dataset
from trustworthy.datasets.draw import stratified_rows
from trustworthy.metrics import bootstrap_interval
from trustworthy.report.examples import Examples
from trustworthy.report.finding import Finding, Verdict
from trustworthy.report.kind import Kind, NotApplicable
from trustworthy.report.settings import Attacks
from trustworthy.report.subject import Subject


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """One model on the examples, as one kind of finding looks at it.

    kind : whose findings are made.
    batch : examples shown to the model at once.
    resamples, level : of every bootstrap interval.
    attacks : attacks and radii of the plan, for a kind that says that it needs them.
    dataset : where the examples come from, for a kind that is about the data.
    advance : told the share of the work that is done.
    """

    kind: Kind
    subject: Subject
    examples: Examples
    seed: int
    device: torch.device
    batch: int
    resamples: int
    level: float
    attacks: Attacks | None = None
    dataset: Dataset | None = None
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

    def stated_probabilities(self) -> Float[np.ndarray, "n classes"]:
        """`probabilities`, for a kind that does not apply to labels alone."""
        if not self.subject.gives_scores:
            raise NotApplicable("the model gives labels without probabilities.")
        return self.probabilities

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

    @cached_property
    def attacked(self) -> tuple[Any, Tensor, Tensor]:
        """Model, inputs and labels as an attack sees them: the features of a table in standard deviations."""
        domain, x = self.examples.domain, self.examples.x.to(self.device)
        return domain.asked(self.subject.model), domain.attacked(x), self.examples.y.to(self.device)

    def attacked_at(self, rows: Int[np.ndarray, " some"]) -> tuple[Any, Tensor, Tensor]:
        """`attacked`, at some of the examples."""
        model, x, y = self.attacked
        kept = torch.from_numpy(rows).to(self.device)
        return model, x[kept], y[kept]

    def attacking(self, name: str) -> dict[str, Any]:
        """How a function that attacks draws under `name`, batches and tells its progress."""
        return {"generator": self.generator(name), "batch_size": self.batch, "advance": self.advance}

    def generator(self, *names: object) -> torch.Generator:
        """Stream of random numbers of this model under `names`."""
        return seeds.torch_generator(self.seed, self.subject.name, *names, device=self.device)

    def sample(self, name: str, count: int) -> Int[np.ndarray, " kept"]:
        """Row numbers of `count` examples, the classes in proportion, the same for every model."""
        return stratified_rows(self.labels, count, seeds.derived_seed(self.seed, name))

    def classify(self, x: Float[Tensor, "n *shape"]) -> Int[np.ndarray, " n"]:
        """Predicted classes of other inputs than the examples."""
        found = self.subject.predict(x, batch=self.batch, seed=self.seed, device=self.device)
        return found.logits.argmax(1).numpy()

    def interval(self, name: str, statistic: Callable[..., float], *arrays: np.ndarray) -> tuple[float, float] | None:
        """Bootstrap interval of a statistic of the examples; None for a single example."""
        if len(arrays[0]) < 2:
            return None
        rng = seeds.numpy_generator(self.seed, self.subject.name, "bootstrap", name)
        return bootstrap_interval(statistic, *arrays, level=self.level, resamples=self.resamples, random_state=rng)

    def finding(
        self,
        name: str,
        value: float | None,
        *,
        judged: float | None = None,
        verdict: Verdict | None = None,
        conditions: dict[str, Any] | None = None,
        **given: Any,
    ) -> Finding:
        """A finding about this model; the kind and the frame fill in everything that is the same for all of them.

        judged : the quantity that the rule of the finding judges; `verdict` in its place where another is due.
        """
        about = self.kind.findings[name]
        if verdict is None:
            verdict = about.rule(judged) if about.rule else "information"
        draws = {"draws": self.subject.draws} if self.subject.is_random else {}
        return Finding(
            name=name, value=value, model=self.subject.name, property=self.kind.property, kind=self.kind.name,
            title=about.title, headline=about.headline, verdict=verdict, higher_is_better=about.higher_is_better,
            level=self.level, seed=self.seed, device=str(self.device), wall_time=0.0,
            conditions={"n": len(self.examples.x), "data": self.examples.name, **(conditions or {}), **draws},
            **given,
        )  # fmt: skip
