"""What methods that end in an ensemble share."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from trustworthy.core import checks
from trustworthy.nn.ensemble import Ensemble
from trustworthy.training import History, Likelihood
from trustworthy.uncertainty.method import CLASSES, Method, Trained


@dataclass(frozen=True, kw_only=True)
class Ensembling(Method, ABC):
    """A method whose outcome is an `Ensemble` of networks of the architecture that it was given.

    Parameters
    ----------
    members : networks in the end, >= 1.
    loss : `Categorical()` for classes, `Gaussian(...)` or `Laplace(...)` for numbers.
    """

    members: int = 6
    loss: Likelihood = CLASSES

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("members", self.members, at_least=1)

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return (("ensemble", {"members": self.members}),)

    def changed(self, model: nn.Module) -> nn.Module:
        """A copy of `model`: the members are trained one by one."""
        return copy.deepcopy(model)

    def gathered(
        self, networks: Iterable[nn.Module], histories: Iterable[History], notes: tuple[str, ...] = ()
    ) -> Trained:
        """The outcome of the runs of all members."""
        return self.told(Ensemble(networks).eval(), *histories, notes=notes)
