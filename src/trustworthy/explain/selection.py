"""Choosing features step by step for the robustness of the chosen set: what Greedy and Greedy-AS share.

v(S) of (7.3) is the distance to another prediction while S is held, to be made large; that of (7.4) is the distance
within S, to be made small.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.attacks.goal import Goal
from trustworthy.attacks.losses import margin
from trustworthy.core import checks
from trustworthy.core.errors import warn
from trustworthy.core.norms import as_norm
from trustworthy.core.predictive import NUMBERS
from trustworthy.explain.attribution import ordered
from trustworthy.explain.explainer import Explainer, Question, Scored
from trustworthy.explain.first_order import estimates
from trustworthy.explain.robustness import Robustness, finite

Weighed = tuple[Float[Tensor, " some"], Float[Tensor, " some"] | None]
Objective = Literal["complement", "relevant"]
SIGN: dict[str, float] = {"complement": 1.0, "relevant": -1.0}  # whether v is to be large or small


@dataclass(frozen=True, kw_only=True)
class Selection(Explainer, ABC):
    """Add the most promising features to the relevant set, a share of all of them in each step.

    Parameters
    ----------
    objective : "complement" makes the distance of the others large, (7.3); "relevant" makes that of the chosen ones
        small, (7.4). `compare` takes for each of the two criteria the ranking made for it.
    share : of an example's features, chosen in each step, in (0, 1]; at least one feature.
    until : share that is chosen in steps, in (0, 1]. The rest is in the order of the last step.
    linearisations : gradients for each set of features, see `first_order.estimates`; None runs the attack for each,
        from where it ended for a neighbouring set, which takes about twenty times as long.
    robustness : the attack, its norm and its bounds. An attack that takes no gradients is run for each set.
    """

    objective: Objective = "complement"
    share: float = 0.05
    until: float = 0.5
    linearisations: int | None = 1
    robustness: Robustness = field(default_factory=Robustness)

    of_prediction: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("objective", self.objective, SIGN)
        checks.real("share", self.share, above=0.0, at_most=1.0)
        checks.real("until", self.until, above=0.0, at_most=1.0)
        if self.linearisations is not None:
            checks.integer("linearisations", self.linearisations, at_least=1)
        object.__setattr__(self, "asks", self.robustness.attack.asks)

    def for_criterion(self, name: str) -> Self:
        """With the objective of the criterion, of those that have one."""
        objective = {"robustness": "relevant", "robustness-complement": "complement"}.get(name, self.objective)
        return self if objective == self.objective else replace(self, objective=objective)

    @abstractmethod
    def weigh(self, game: Game, row: int, chosen: Bool[Tensor, " groups"], candidates: Int[Tensor, " some"]) -> Weighed:
        """How much each candidate promises for v, and the standard error."""

    @final
    def explain(self, question: Question) -> Scored:
        game = Game(question, self)
        present = question.groups.present.expand(len(question.x), -1)
        chosen, step = torch.zeros_like(present), torch.zeros_like(present, dtype=torch.int64)
        scores = torch.zeros(present.shape, dtype=torch.float64, device=present.device)
        error = torch.full_like(scores, torch.nan)
        for wanted in self._counts(present.sum(1)):
            rows = ((wanted > chosen.sum(1)) & ~game.settled).nonzero().squeeze(1)
            game.begin(chosen, rows)
            for row in rows[~game.settled[rows]].tolist():
                candidates = (present[row] & ~chosen[row]).nonzero().squeeze(1)
                weights, spread = self.weigh(game, row, chosen[row], candidates)
                promise = torch.full_like(scores[row], torch.nan)
                promise[candidates] = SIGN[self.objective] * weights
                best = ordered(promise[None])[0, : int(wanted[row] - chosen[row].sum())]
                # The best of those that are left keeps its level: what is chosen later has the lower score.
                level = scores[row, candidates].max() - promise[best[0]] if bool(chosen[row].any()) else 0.0
                scores[row, candidates] = promise[candidates] + level
                if spread is not None:
                    error[row, candidates] = spread
                chosen[row, best] = True
                step[row] += ~chosen[row]
        game.warn()
        order = ordered(scores.masked_fill(~present, torch.nan))
        order = order.gather(1, step.masked_fill(~present, len(scores[0])).gather(1, order).argsort(dim=1, stable=True))
        kind = question.x.dtype
        return Scored(scores.to(kind), None if bool(error.isnan().all()) else error.to(kind), order)

    def _counts(self, present: Int[Tensor, " n"]) -> list[Int[Tensor, " n"]]:
        """How many features of each example are chosen after each step."""
        steps = -(-self.until // self.share)
        return [(min(step * self.share, self.until) * present + 0.5).long() for step in range(1, int(steps) + 1)]


class Game:
    """v(S) of each example for any sets S, and where the search for it begins.

    settled : (n,), examples whose prediction nothing that was found can change any more, whatever is chosen.
    """

    def __init__(self, question: Question, method: Selection) -> None:
        self.question, self.method = question, method
        self.start = question.x.clone()
        self.settled = torch.zeros(len(question.x), dtype=torch.bool, device=question.x.device)
        self._begun = False

    def begin(self, chosen: Bool[Tensor, "n groups"], rows: Int[Tensor, " some"]) -> None:
        """Find the perturbation of all that may change beside what is `chosen`, for the searches of this step."""
        if self._begun and self.method.objective == "relevant":
            return
        held = chosen if self.method.objective == "complement" else torch.zeros_like(chosen)
        lost = rows
        if self._begun:  # from the last step's perturbation, and anew where that leads to none
            lost = rows[self._found(rows, held, self.start).isinf()]
        self.settled[lost] = self._found(lost, held, None).isinf()
        self._begun = True

    def _found(self, rows: Int[Tensor, " some"], held: Bool[Tensor, "n groups"], start: Tensor | None) -> Tensor:
        """The distance of the others than `held`; where there is one its point is the new start."""
        begun = None if start is None else start[rows, None]
        size, points = self._searched(rows, self._free(held[rows, None], rows, others=True), begun)
        known = size[:, 0].isfinite()
        self.start[rows[known]] = points[known, 0]
        return size[:, 0]

    def values(self, row: int, sets: Bool[Tensor, "k groups"]) -> Float[Tensor, " k"]:
        """v of sets of features of one example, a finite number in place of inf."""
        rows, attack = torch.tensor([row], device=sets.device), self.method.robustness.attack
        per = max(1, min(self.method.robustness.rows, NUMBERS // max(1, self.question.x[:1].numel())))
        sizes = []
        for some in sets.split(per):
            free = self._free(some[None], rows, others=self.method.objective == "complement")
            if self.method.linearisations is None or attack.asks != "gradients":
                start = self.start[rows, None].expand(free.shape)
                sizes.append(self._searched(rows, free, start)[0])
            else:
                sizes.append(self._estimated(row, free[0])[None])
        return finite(torch.cat(sizes, dim=1), self.question.x[rows], attack.bounds, attack.norm)[0]

    def warn(self) -> None:
        """Say which examples have no robustness to explain."""
        unmoved = (self.start == self.question.x).flatten(1).all(1)
        lost = (unmoved & self.settled).nonzero().squeeze(1).tolist()  # not where a share of few features is none
        if lost:
            warn(
                f"nothing that was found changes the prediction of {len(lost)} of {len(self.start)} examples, the "
                f"first at row {lost[0]}: g is infinite, and the order of its features is arbitrary. Allow the attack "
                "wider bounds or more steps, or leave those rows out."
            )

    def _free(
        self, sets: Bool[Tensor, "n k groups"], rows: Int[Tensor, " n"], *, others: bool
    ) -> Bool[Tensor, "n k *shape"]:
        """The coordinates of the features of the sets, or of all others."""
        groups = self.question.groups.rows(rows)
        free = groups.others(sets) if others else groups.free(sets)
        return free.expand(*sets.shape[:2], *self.question.x.shape[1:])

    def _searched(
        self, rows: Int[Tensor, " n"], free: Bool[Tensor, "n k *shape"], start: Tensor | None
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k *shape"]]:
        question, goal = self.question, self.question.goal.subset(rows)
        if len(rows) == 0:
            return question.x.new_zeros(free.shape[:2]), question.x.new_zeros(free.shape)
        given = {"target": goal.target, "generator": question.generator, "start": start}
        found = self.method.robustness(question.model, question.x[rows], goal.y, free, **given)
        question.count(torch.zeros_like(question.problem.queries).index_add_(0, rows, found.calls))
        return found.size, found.points

    def _estimated(self, row: int, free: Bool[Tensor, "k *shape"]) -> Float[Tensor, " k"]:
        rows, robustness = torch.full((len(free),), row, device=free.device), self.method.robustness
        assert self.method.linearisations is not None
        part = self.question.problem.subset(rows)
        goal = self.question.goal.subset(rows)
        part.goal = Goal(goal.y, goal.target, margin)
        part.free = free if robustness.movable is None else free & robustness.movable.to(free.device)
        geometry, bounds = as_norm(robustness.attack.norm), robustness.attack.bounds
        size = estimates(part, geometry, bounds, self.start[rows], self.method.linearisations)
        if bounds is None:
            return size
        longest = geometry.size(torch.maximum(part.x - bounds[0], bounds[1] - part.x))
        return size.masked_fill(size > longest, torch.inf)
