"""One draw of known labels: the learner, its poisoning at several budgets, the other attacks, and the bound."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from trustworthy.core import seeds
from trustworthy.graphs import LabelPropagation
from trustworthy.graphs.affinity import GaussianGraphs
from trustworthy.graphs.labels import read_labels
from trustworthy.graphs.poisoning import (
    CentralityAttack,
    ClassificationLabelAttack,
    LabelAttack,
    PoisoningProblem,
    RandomLabelAttack,
    RegressionLabelAttack,
)
from trustworthy.graphs.width import choose_gamma, default_gammas
from trustworthy.report.poisoning.record import Point, SplitRecord
from trustworthy.report.poisoning.rows import LabelledRows

RANDOM_DRAWS = 20
"""Random attacks whose mean is the baseline."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The learner and who attacks it.

    labelled : rows whose label the learner is told, at least 2.
    gamma : width of the graph; None for the best of ten by leaving each label out in turn.
    n_neighbors : None for the dense graph.
    method : of `ClassificationLabelAttack`, or solver of `RegressionLabelAttack`.
    knowledge : "true" or "estimated" labels of the other rows.
    baselines : whether random and central labels are attacked too.
    """

    labelled: int
    gamma: float | None = None
    n_neighbors: int | None = None
    method: str = "local-search"
    knowledge: str = "true"
    baselines: bool = True
    seed: int = 0


class Split:
    """The `number`-th draw of known labels among `rows`; everything drawn depends on the protocol's seed alone."""

    def __init__(self, rows: LabelledRows, protocol: Protocol, number: int = 0) -> None:
        self.rows, self.protocol, self.number = rows, protocol, number
        self.known = known_rows(rows, protocol.labelled, self._stream("labels"))

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels that the learner is told; -1 or NaN for the others."""
        told = np.full(len(self.rows.y), -1 if self.rows.classifies else np.nan)
        told[self.known] = self.rows.y[self.known]
        return told.astype(np.int64) if self.rows.classifies else told

    @cached_property
    def gamma(self) -> float:
        """Width of the graph, given or chosen."""
        return self.chosen_gamma() if self.protocol.gamma is None else self.protocol.gamma

    def chosen_gamma(self, advance: Callable[[float], None] = lambda share: None) -> float:
        """The width that `LabelPropagation` chooses; `advance` is called with the share of the candidates tried."""
        labels = read_labels(self.labels, self._task)
        graphs = GaussianGraphs(self.rows.x, labels.known, self.protocol.n_neighbors)
        return choose_gamma(graphs, labels, default_gammas(self.rows.x), "auto", advance)[0]

    @cached_property
    def problem(self) -> PoisoningProblem:
        """The poisoning problem in numbers."""
        hidden = np.setdiff1d(np.arange(len(self.rows.y)), self.known)
        learner = LabelPropagation(gamma=self.gamma, n_neighbors=self.protocol.n_neighbors)
        return self._attack.problem(learner, self.rows.x, self.labels, truth=self.rows.y[hidden])

    @property
    def clean_error(self) -> float:
        """Error of the learner without an attack."""
        return self.problem.error(self.problem.operator @ self.problem.values)

    @property
    def guess_error(self) -> float:
        """Error of always answering with the commonest known class, or with the mean of the known labels.

        Where both classes are known equally often, the mean of both answers: a half.
        """
        mean = float(self.problem.values.mean())
        if self.rows.classifies and mean == 0.0:
            return 0.5
        return self.problem.error(np.full(len(self.problem.truth), np.sign(mean) if self.rows.classifies else mean))

    def record(self) -> SplitRecord:
        """What is known before the first attack."""
        return SplitRecord(
            labelled=self.rows.numbers[self.known].tolist(), gamma=self.gamma, clean_error=self.clean_error,
            guess_error=self.guess_error, points=[],
        )  # fmt: skip

    def points(self, budgets: Sequence[float]) -> Iterator[Point]:
        """Attack with each budget in turn."""
        exact = [int(budget) if self.rows.classifies else budget for budget in budgets]
        bounds = self._attack.bounds(self.problem, exact)
        for budget, bound in zip(exact, bounds.tolist(), strict=True):
            begun = time.perf_counter()
            attack = dataclasses.replace(self._attack, budget=budget)
            found = attack.solve(self.problem, self._stream("attack", budget))
            baselines = self._baselines(budget) if self.protocol.baselines else {}
            yield Point(
                budget=budget, flipped=self.rows.numbers[found.flipped].tolist(), error=found.error_after, bound=bound,
                baselines=baselines, wall_time=time.perf_counter() - begun,
            )  # fmt: skip

    @property
    def _task(self) -> str:
        return "classification" if self.rows.classifies else "regression"

    @cached_property
    def _attack(self) -> LabelAttack:
        method, knowledge = self.protocol.method, self.protocol.knowledge
        if self.rows.classifies:
            return ClassificationLabelAttack(budget=0, knowledge=knowledge, method=method)
        return RegressionLabelAttack(budget=0, knowledge=knowledge, solver=method)

    def _baselines(self, budget: float) -> dict[str, float]:
        """Errors that attacks cause which do not look at what the learner makes of the labels."""
        rng = self._stream("random", budget)
        random = RandomLabelAttack(budget=budget)
        draws = [random.solve(self.problem, rng).error_after for _ in range(RANDOM_DRAWS)]
        central = {
            name: CentralityAttack(budget=budget, centrality=name).solve(self.problem, rng).error_after
            for name in ("degree", "pagerank")
        }
        return {"random": float(np.mean(draws)), **central}

    def _stream(self, *names: object) -> np.random.Generator:
        return seeds.numpy_generator(self.protocol.seed, "poisoning", "split", self.number, *names)


def known_rows(rows: LabelledRows, count: int, rng: np.random.Generator) -> Int[np.ndarray, " known"]:
    """Draw `count` rows without replacement, in ascending order; both classes are among them.

    Where the draw holds one class, its last row gives way to the first one of the other class.
    """
    order = rng.permutation(len(rows.y))
    known, rest = order[:count], order[count:]
    if rows.classifies and len(np.unique(rows.y[known])) == 1:
        known[-1] = rest[rows.y[rest] != rows.y[known[0]]][0]
    return np.sort(known)
