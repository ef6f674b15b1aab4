"""Max-sensitivity: how far an explanation moves where the input hardly does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.checks import Bounds, as_bounds
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import as_batch
from trustworthy.core.norms import Norm, as_norm
from trustworthy.core.threat import ThreatModel
from trustworthy.explain.attribution import Attribution
from trustworthy.explain.criteria.criterion import Criterion, Judged
from trustworthy.explain.explainer import Explainer, Question


@dataclass(frozen=True, kw_only=True)
class MaxSensitivity(Criterion):
    """Largest relative change of the scores, ||scores(x + d) - scores(x)|| / ||scores(x)||, over a small ball.

    Points of the ball with another prediction than `x` have another explanation, and are left out. A method that
    draws at random is asked with other draws each time, so that what it draws counts. An explanation that ignores its
    input has 0: the criterion speaks of trust only beside one of fidelity.

    Parameters
    ----------
    radius, norm, bounds : of the ball, in the units of the input, > 0.
    draws : points of it, >= 2; the largest change over so few is a lower bound of that over the ball.

    The standard error is the jackknife's, which follows from how far the second largest change lies below the largest.
    Cost: draws explanations and one forward pass for each. Random: the points. Reference: Yeh et al. 2019.
    """

    radius: float = 0.02
    norm: Norm = "linf"
    bounds: Bounds | None = (0.0, 1.0)
    draws: int = 10

    name: ClassVar = "sensitivity"
    higher_is_better: ClassVar = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("radius", self.radius, above=0.0)
        checks.integer("draws", self.draws, at_least=2)
        as_norm(self.norm)
        object.__setattr__(self, "bounds", as_bounds(self.bounds))

    def judge(self, question: Question, attribution: Attribution, explainer: Explainer | None) -> Judged:
        if explainer is None:
            raise InvalidInput("explainer must be the method that made the attribution, to explain neighbours of x.")
        as_batch(question.x, self.bounds)
        before = attribution.scores.nan_to_num()
        changes = torch.stack([self._change(question, before, explainer) for _ in range(self.draws)])
        largest, second = changes.topk(2, dim=0).values
        error = (largest - second) * (self.draws - 1) / self.draws
        return Judged(value=largest, error=error, calls=question.problem.queries)

    def _change(
        self, question: Question, before: Float[Tensor, "n groups"], explainer: Explainer
    ) -> Float[Tensor, " n"]:
        x, goal, groups = question.x, question.goal, question.groups
        covered = groups.free(groups.present[:, None])[:, 0].expand(x.shape)  # padding stays what it is
        near = ThreatModel(self.norm, self.radius, self.bounds, covered).sample(x, question.generator)
        classes = question.probabilities(torch.cat([x, near]), torch.arange(len(x), device=x.device).repeat(2)).argmax(
            1
        )
        same = classes[: len(x)] == classes[len(x) :]
        near = torch.where(same.reshape(-1, *[1] * (x.ndim - 1)), near, x)
        given = {"target": goal.target, "groups": groups, "generator": question.generator}
        after = explainer(question.model, near, goal.y, **given)
        question.count(after.calls)
        moved, size = (after.scores.nan_to_num() - before).norm(dim=1), before.norm(dim=1)
        return torch.where(moved > 0, moved / size, 0.0)
