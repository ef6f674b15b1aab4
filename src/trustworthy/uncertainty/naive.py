"""The naive (deep) ensemble: several networks, each trained by itself."""

from __future__ import annotations

from dataclasses import dataclass

from joblib import Parallel, delayed
from torch import nn

from trustworthy.core.seeds import derived_seed
from trustworthy.training import History
from trustworthy.uncertainty.ensembling import Ensembling
from trustworthy.uncertainty.method import Lesson, Trained


@dataclass(frozen=True, kw_only=True)
class NaiveEnsemble(Ensembling):
    """Networks that differ in their first weights, and in the order and the augmentation of their rows.

    Each is trained for all `epochs`, and has the weights of its own best epoch. With `n_jobs` they are trained side by
    side, in processes in which the callbacks run too, and end with the same weights.

    Parameters
    ----------
    members : >= 1; five are nearly as good as more (Lakshminarayanan et al. 2017).

    Cost: `members` times that of one model. Random: the weights, see `Lesson.fresh`, and the order of the rows.
    """

    members: int = 5

    @property
    def passes(self) -> int:
        return self.members * self.epochs

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        networks = [model, *(lesson.fresh(member) for member in range(1, self.members))]
        parts = [
            lesson.part(f"member-{member}", seed=derived_seed(lesson.seed, "member", member))
            for member in range(1, self.members + 1)
        ]
        runs = [delayed(self._member)(*each) for each in zip(networks, parts, strict=True)]
        members, histories = zip(*Parallel(n_jobs=lesson.n_jobs or 1)(runs), strict=True)
        return self.gathered(members, histories, lesson)

    def _member(self, network: nn.Module, part: Lesson) -> tuple[nn.Module, History]:
        history = self.fitted(network, part, self.objective)
        return network, history
