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

from trustworthy.attacks import PGD, Attack, FreshDraws
from trustworthy.core import seeds
from trustworthy.core.errors import InvalidInput
from trustworthy.core.predictive import Predictive
from trustworthy.datasets import Dataset
from trustworthy.datasets.draw import stratified_rows
from trustworthy.metrics import bootstrap_interval, proportion_interval
from trustworthy.report.finding import Finding, Verdict
from trustworthy.report.findings import accuracy
from trustworthy.report.kind import Kind, NotApplicable
from trustworthy.report.rows import Examples
from trustworthy.report.settings import AttackPlan, Attacks
from trustworthy.report.subject import Subject, answers


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """One model on the examples, as one kind of finding looks at it.

    kind : whose findings are made.
    batch : examples shown to the model at once.
    level : of every interval. resamples : of those that are not exact.
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
        """Softmax of the logits; a kind that asks for it does not apply to labels alone."""
        if self.subject.gives != "probabilities":
            raise NotApplicable(f"the model gives {self.subject.gives} without probabilities.")
        return softmax(self.subject.logits, axis=1)

    def right(self, name: str, count: int, to: str, *, numbers: bool = True) -> Int[np.ndarray, " kept"]:
        """`count` (0: all) of the rows that are classified correctly, of a kind that needs some `to` attack them, say.

        The classes are in proportion, and the draw is called `name`. numbers : whether it moves numbers alone.
        """
        right = np.flatnonzero(self.correct)
        if not len(right):
            raise NotApplicable(f"the model classifies none of the examples correctly, so there is nothing to {to}.")
        if numbers and self.free is not None and not bool(self.free.any(1).all()):
            raise NotApplicable(
                f"there are rows without a single number that may change, in which there is nothing to {to}."
            )
        return right[stratified_rows(self.labels[right], count, seeds.derived_seed(self.seed, name))]

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
    def is_useful(self) -> bool:
        """Whether robustness can be judged: a model that guesses loses nothing to any attack."""
        above = self.accuracy_above_guessing
        return above is not None and accuracy.RULE(above) != "worry"

    @cached_property
    def attacked(self) -> tuple[Any, Tensor, Tensor]:
        """Model, inputs and labels as an attack sees them: the features of a table in standard deviations."""
        domain, x = self.examples.domain, self.examples.x.to(self.device)
        return domain.asked(self.subject.model), domain.attacked(x), self.examples.y.to(self.device)

    def halves(self, name: str) -> tuple[Int[np.ndarray, " half"], Int[np.ndarray, " others"]]:
        """Rows to fit something on, and the others to judge it by, drawn by the seed and `name`."""
        fitted, judged = np.array_split(seeds.numpy_generator(self.seed, name).permutation(len(self.labels)), 2)
        if not len(judged):
            raise NotApplicable("there is one row alone: half of the rows are fitted on, the others judged.")
        return fitted, judged

    def attacked_at(self, rows: Int[np.ndarray, " some"]) -> tuple[Any, Tensor, Tensor]:
        """`attacked`, at some of the examples."""
        model, x, y = self.attacked
        kept = torch.from_numpy(rows).to(self.device)
        return model, x[kept], y[kept]

    @cached_property
    def free(self) -> Bool[Tensor, "n *shape"] | None:
        """What an adversary may change of each example; None for all of it."""
        return self.examples.domain.free(self.examples.x.to(self.device))

    @cached_property
    def shared(self) -> Attacks:
        """The attacks and radii of the plan."""
        assert self.attacks is not None, f"{self.kind.step} uses the shared attacks and must say so"
        return self.attacks

    @property
    def judge(self) -> FreshDraws | None:
        """What says whether an attack broke a stochastic model; None for a fixed one, which is asked."""
        return FreshDraws(draws=self.shared.fresh, level=self.level) if self.subject.is_random else None

    def headline(self, norm: str) -> float:
        """Radius of the summary in the attacked units: the plan's, or by the kind of data."""
        return (self.shared.linf if norm == "linf" else self.shared.l2) or self.examples.domain.headline(norm)

    def arsenal(self, norm: str) -> list[AttackPlan]:
        """Attacks that search in `norm` and need nothing that the model does not give.

        A model with gradients meets the attacks of the plan; one without meets those of them that need scores only, and
        the decision attack.
        """
        asked = {"labels", "scores"} if self.subject.gives_scores else {"labels"}
        chosen = list(self.shared.tried)
        if not self.subject.gives_gradients:
            chosen = [plan for plan in (*chosen, self.shared.decision) if plan.kind.asks in asked]
        chosen = [plan for plan in chosen if _searches_in(plan, norm)]
        if not chosen:
            raise NotApplicable(
                f"no attack of the plan searches in {norm} on a model without gradients"
                f"{'' if self.subject.gives_scores else ' or scores'}."
            )
        self.right("arsenal", 1, "attack")
        return chosen

    @cached_property
    def attacked_rows(self) -> Int[np.ndarray, " tried"]:
        """Rows that attacks and certificates try: of those that are right all, or a few without gradients.

        What is wrong need not be attacked; `standing` says what the rows that stand mean for all of them.
        """
        return self.right("decision", 0 if self.subject.gives_gradients else self.shared.decision_rows, "attack")

    def column(
        self, rows: Int[np.ndarray, " some"], values: np.ndarray, *, wrong: float = np.nan
    ) -> Float[np.ndarray, " n"]:
        """A column of `rows.parquet` from values of some rows; `wrong` in the other rows that are wrong, NaN in all."""
        column = np.where(self.correct, np.nan, wrong)
        column[rows] = values
        return column

    def standing(
        self, holds: Bool[np.ndarray, " tried"], unsure: Bool[np.ndarray, " tried"] | None = None
    ) -> tuple[float, tuple[float, float]]:
        """Accuracy on all the examples where `holds` says which of the tried rows stand, and its interval.

        It is the share of the examples that are right, times the share of the tried rows that stand, so that it
        cannot exceed the accuracy. Exact bounds (Clopper and Pearson): of the one share of the examples that are right
        and stand where every right row was tried, else the product of the bounds of both shares, each of which fails
        half as often as `level` allows.

        unsure : rows that the draws of a stochastic model leave open: the interval then reaches from the low end with
            all of them lost to the high end with all of them kept.
        """
        if unsure is not None and unsure.any():
            low, high = self.standing(holds & ~unsure)[1][0], self.standing(holds | unsure)[1][1]
            return self.standing(holds)[0], (low, high)
        n, right, stands, tried = len(self.correct), int(self.correct.sum()), int(holds.sum()), len(holds)
        if tried == right:
            return stands / n, proportion_interval(stands, n, self.level)
        each = (1.0 + self.level) / 2
        clean, kept = proportion_interval(right, n, each), proportion_interval(stands, tried, each)
        return self.accuracy * (stands / tried), (clean[0] * kept[0], clean[1] * kept[1])

    def counts(self, rows: Int[np.ndarray, " tried"]) -> dict[str, int]:
        """Conditions of what `standing` estimates: the examples, those that are right, and those tried of these."""
        return {"n": len(self.correct), "right": int(self.correct.sum()), "attacked": len(rows)}

    def tried(self, rows: Int[np.ndarray, " tried"]) -> str:
        """What a sentence adds where not all the right rows were tried."""
        right = int(self.correct.sum())
        return f" (tried: {len(rows)} of the {right} rows that are right)" if len(rows) < right else ""

    def left_open(self, rows: int) -> str:
        """What a sentence adds where the draws of the judge do not decide some of the rows."""
        return f"; {rows} {'row is' if rows == 1 else 'rows are'} too close to call ({self.shared.fresh} draws)" * (
            rows > 0
        )

    def taken(self, value: float) -> str:
        """What was taken of the accuracy, to follow the verb."""
        clean = f"{self.accuracy:.1%}"
        return f"accuracy from {clean} to {value:.1%}" if value < self.accuracy else f"none of the {clean} accuracy"

    def built(self, plan: AttackPlan, norm: str, eps: float, *, draws: int | None = None) -> Attack:
        """The attack in the units of the attacked inputs; a walk along the boundary begins at other examples.

        draws : over which it averages; None for those of the model.

        The dlr loss needs a third class; with two its place is taken by the margin, the numerator of dlr.
        """
        if self.subject.logits.shape[1] < 3 and (plan.model_extra or {}).get("loss") == "dlr":
            plan = AttackPlan(name=plan.name, **{**(plan.model_extra or {}), "loss": "margin"})
        given = {"bounds": self.examples.domain.bounds, "starts": self.attacked[1], "eot": draws or self.subject.draws}
        return plan.build(norm=norm, eps=eps, **given)

    def pgd(self) -> PGD:
        """The plan's first PGD, or the default one, at the headline linf radius."""
        plans = [plan for plan in self.shared.tried if plan.name == "PGD"]
        attack = self.built([*plans, AttackPlan(name="PGD")][0], "linf", self.headline("linf"))
        assert isinstance(attack, PGD)
        return attack

    def attacking(self, name: str, rows: Int[np.ndarray, " some"]) -> dict[str, Any]:
        """How a function that attacks some of the examples draws under `name`, batches, tells its progress, and what it
        may change, to which values."""
        free = None if self.free is None else self.free[torch.from_numpy(rows).to(self.device)]
        how = {"generator": self.generator(name), "batch_size": self.batch, "advance": self.advance}
        return how | {"free": free, "grid": self.examples.domain.grid}

    def generator(self, *names: object) -> torch.Generator:
        """Stream of random numbers under `names`, the same for every model: equal models give equal numbers."""
        return seeds.torch_generator(self.seed, *names, device=self.device)

    def sample(self, name: str, count: int) -> Int[np.ndarray, " kept"]:
        """Row numbers of `count` examples, the classes in proportion, the same for every model."""
        return stratified_rows(self.labels, count, seeds.derived_seed(self.seed, name))

    def answers(self, x: Float[Tensor, "n *shape"], draws: int | None = None) -> Predictive:
        """What the model answers inputs, over its own number of `draws` or another."""
        given = {"batch": self.batch, "seed": self.seed, "device": self.device}
        return answers(self.subject.model, x, draws=draws or self.subject.draws, **given)

    def classify(self, x: Float[Tensor, "n *shape"]) -> Int[np.ndarray, " n"]:
        """Predicted classes of other inputs than the examples."""
        return self.answers(x).logits.argmax(1).numpy()

    def share(self, holds: Bool[np.ndarray, " n"]) -> tuple[float, float]:
        """Exact interval of the share of rows for which something `holds`; never a point."""
        return proportion_interval(int(holds.sum()), len(holds), self.level)

    def interval(
        self, name: str, statistic: Callable[..., float], *arrays: np.ndarray, most: float | None = None
    ) -> tuple[float, float] | None:
        """Bootstrap interval of a statistic of the examples; None where resampling tells nothing of its spread.

        A percentile interval may miss the value of a biased statistic, such as a calibration error; it is widened to
        hold it.

        most : where the statistic is `np.mean`, the largest value that an example can have, the least being 0. If all
            have one value, the share of examples that do is above an exact bound, which bounds the mean.
        """
        first = arrays[0]
        if most is not None and (first == first[0]).all():
            alike = proportion_interval(len(first), len(first), self.level)[0]
            return alike * float(first[0]), alike * float(first[0]) + (1.0 - alike) * most
        if len(first) < 2:
            return None
        rng = seeds.numpy_generator(self.seed, "bootstrap", name)
        try:
            low, high = bootstrap_interval(
                statistic, *arrays, level=self.level, resamples=self.resamples, random_state=rng
            )
        except InvalidInput:  # undefined on most resamples
            return None
        value = float(statistic(*arrays))
        return None if low == high else (min(low, value), max(high, value))

    def finding(
        self,
        name: str,
        value: float | None,
        *,
        judged: float | None = None,
        verdict: Verdict | None = None,
        model: str | None = None,
        conditions: dict[str, Any] | None = None,
        interval: tuple[float, float] | None = None,
        no_interval: str = "resampling the examples tells nothing of its spread",
        **given: Any,
    ) -> Finding:
        """A finding about this model; the kind and the frame fill in everything that is the same for all of them.

        judged : the quantity that the rule of the finding judges; `verdict` in its place where another is due.
        model : that it is about, where it is not this one.
        no_interval : why there is none, where there is none.

        No robustness but accuracy itself is judged of a model that guesses.
        """
        about = self.kind.findings[name]
        if verdict is None:
            verdict = about.rule(judged) if about.rule else "information"
        if self.kind.property == "robustness" and self.kind.name != "accuracy" and not self.is_useful:
            verdict = "information"
            if "statement" in given and model is None:  # what compares models chooses those that it can judge
                given["statement"] += " Not judged: the model is hardly better than guessing."
        without = {"no_interval": no_interval} if interval is None and value is not None else {}
        draws = {"draws": self.subject.draws} if self.subject.is_random else {}
        return Finding(
            name=name, value=value, model=model or self.subject.name, property=self.kind.property, kind=self.kind.name,
            title=about.title, headline=about.headline, verdict=verdict, higher_is_better=about.higher_is_better,
            interval=interval, level=self.level, seed=self.seed, device=str(self.device), wall_time=0.0,
            conditions={"n": len(self.labels), "data": self.examples.name, **(conditions or {}), **draws, **without},
            **given,
        )  # fmt: skip


def _searches_in(plan: AttackPlan, norm: str) -> bool:
    try:
        return plan.build(bounds=None, norm=norm, eps=1.0).geometry.name == norm
    except InvalidInput:
        return False
