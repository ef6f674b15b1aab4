"""BatchEnsemble: members that share their weights but for rank-1 factors, trained in one run."""

from __future__ import annotations

from dataclasses import dataclass

from trustworthy.core import checks
from trustworthy.training import Likelihood
from trustworthy.uncertainty.method import CLASSES, Method


@dataclass(frozen=True, kw_only=True)
class BatchEnsemble(Method):
    """One run of a `BatchEnsembled` network: each row of a batch trains one member, and all that they share.

    The members are as many networks in `predict`, but they cannot be as far from each other as networks of their own,
    and each has seen `epochs` / `members` passes over the data: give it more epochs, or smaller batches, than one
    model.

    Parameters
    ----------
    members : >= 1.
    spread : of the factors at the start, >= 0, see `nn.batch_ensemble`.
    weight_decay : >= 0, of the shared weights and of the factors, which it pulls to 0 too.
    loss : `Categorical()` for classes, `Gaussian(...)` or `Laplace(...)` for numbers.

    Cost: 1.3 to 1.4 times that of one model, see `nn.batch_ensemble`. Random: the factors, and which row trains
    which member.
    """

    members: int = 6
    spread: float = 0.2
    loss: Likelihood = CLASSES

    transform = ("batch_ensemble", "members", "spread")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("members", self.members, at_least=1)
        checks.real("spread", self.spread, at_least=0.0)
