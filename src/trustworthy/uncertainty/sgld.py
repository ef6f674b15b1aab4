"""Stochastic gradient Langevin dynamics: draws from the posterior of the weights, along one run."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.ensemble import Ensemble
from trustworthy.training import CyclicCosine, Langevin, Likelihood
from trustworthy.training.data import BatchPlan, as_dataset
from trustworthy.training.schedules import AbstractSchedule, Constant
from trustworthy.uncertainty.ensembling import members_told
from trustworthy.uncertainty.method import CLASSES, Lesson, Method, Trained
from trustworthy.uncertainty.snapshot import Snapshots

_SCHEDULES = ("constant", "cosine")
_OF_LANGEVIN = ("temperature", "prior_std", "preconditioned", "decay", "noisy_burn_in", "sampling_factor")


@dataclass(frozen=True, kw_only=True)
class SGLD(Method):
    """Steps with noise, of which the weights after some epochs are kept: `samples` draws, an `Ensemble` in the end.

    What is sampled is exp(-(N mean nats + |w|^2 / (2 prior_std^2)) / temperature), with N the rows of the data. Of each
    cycle the first share `burn_in` is burn-in; the draws lie evenly in the rest, the last one at the end.

    Parameters
    ----------
    samples : draws in the end, >= 1, in each cycle as many.
    burn_in : share of each cycle, in [0, 1).
    noisy_burn_in : whether there is noise in the burn-in too. Without it, as in the dissertation, it is SGD towards a
        mode.
    temperature : > 0; 1 is the posterior, less a colder one.
    prior_std : standard deviation of the prior of every weight, > 0; the scales of normalisations have theirs about 1.
    preconditioned, decay : a rate of its own for each weight, by its gradients in the burn-in, see `Langevin`.
    cycles : >= 1, of equally many epochs. With schedule="cosine" the rate falls from `learning_rate` towards 0 in each
        and jumps up again, so that draws come from several modes (Zhang et al. 2020).
    learning_rate : the step along the gradient of the mean nats, as in SGD; small, so that steps do not widen the
        posterior, see `Langevin`. A preconditioned run takes less, about 1e-3, and much less to sample.
    sampling_factor : on the rate after the burn-in, > 0.
    optimizer : "sgd", the only one. schedule : "constant" or "cosine". weight_decay : 0, as there is the prior.

    Cost: that of one model, and the weights of each draw in memory or in the folder of the checkpoints. Random: the
    noise, by the seed; a resumed run ends with the same draws.

    References
    ----------
    Those of `Langevin`, and Zhang et al. (2020), Cyclical stochastic gradient MCMC.
    """

    samples: int = 6
    burn_in: float = 0.5
    noisy_burn_in: bool = False
    sampling_factor: float = 1.0
    temperature: float = 1.0
    prior_std: float = 1.0
    preconditioned: bool = False
    decay: float = 0.99
    cycles: int = 1
    loss: Likelihood = CLASSES
    learning_rate: float = 0.01
    optimizer: str = "sgd"
    schedule: str = "constant"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("samples", self.samples, at_least=1)
        checks.real("burn_in", self.burn_in, at_least=0.0)
        Langevin([nn.Parameter()], rows=1, **self._settings)  # checks what is its own
        checks.integer("cycles", self.cycles, at_least=1)
        if self.weight_decay > 0 or self.optimizer != "sgd" or self.schedule not in _SCHEDULES:
            raise InvalidInput(
                "weight_decay must be 0, optimizer 'sgd' and schedule one of constant, cosine, got "
                f"{self.weight_decay}, {self.optimizer!r} and {self.schedule!r}: the prior decays the weights (choose "
                "a smaller prior_std), and momentum or fresh starts would sample from something else."
            )
        for name, number in (("epochs", self.epochs), ("samples", self.samples)):
            if number % self.cycles:
                raise InvalidInput(
                    f"{name} must be a multiple of cycles, {self.cycles}, got {number}: each cycle has equally many."
                )
        if self.epochs // self.cycles - self._burning < self.samples // self.cycles:
            raise InvalidInput(
                f"epochs must leave one for each of {self.samples} samples after the burn-in, got {self.epochs} with "
                f"burn_in={self.burn_in:g} and {self.cycles} cycles; train longer, or take fewer samples."
            )

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return (("ensemble", {"members": self.samples}),)

    def changed(self, model: nn.Module) -> nn.Module:
        """A copy of `model`: the samples are its weights along the run."""
        return copy.deepcopy(model)

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        cosine = CyclicCosine(cycles=self.cycles, parts=self.epochs)
        schedule: AbstractSchedule = cosine if self.schedule == "cosine" else Constant()
        snapshots = Snapshots(self.kept, lesson.checkpoints)
        sampler = functools.partial(self._sampler, model, lesson)
        history = self.fitted(
            model, lesson, self.objective, schedule=schedule, optimizer=sampler, callbacks=[snapshots]
        )
        samples = Ensemble(snapshots.networks(model)).eval()
        notes = members_told(self, [*samples.members], lesson)
        return self.told(samples, dataclasses.replace(history, best=None), notes=notes)

    @property
    def kept(self) -> list[int]:
        """The epochs, counted from 1, after which the weights are samples."""
        cycle, each = self.epochs // self.cycles, self.samples // self.cycles
        window = cycle - self._burning
        return [
            start + self._burning + window * sample // each
            for start in range(0, self.epochs, cycle)
            for sample in range(1, each + 1)
        ]

    @property
    def _burning(self) -> int:
        """Epochs of burn-in in each cycle."""
        return round(self.burn_in * (self.epochs // self.cycles))

    @property
    def _settings(self) -> dict[str, Any]:
        """What an optimizer takes of the fields."""
        return {"lr": self.learning_rate} | {name: getattr(self, name) for name in _OF_LANGEVIN}

    def _sampler(self, model: nn.Module, lesson: Lesson, weights: Iterable[nn.Parameter]) -> Langevin:
        rows = len(as_dataset("data", lesson.data, model))  # type: ignore[arg-type]
        epoch = BatchPlan(rows=rows, batch_size=self.batch_size, epochs=1, seed=0).steps_per_epoch
        norms = [module for module in model.modules() if isinstance(module, (_NormBase, nn.GroupNorm, nn.LayerNorm))]
        scales = {id(norm.weight) for norm in norms}
        groups = [{"params": [], "centre": 0.0}, {"params": [], "centre": 1.0}]
        for weight in weights:
            groups[id(weight) in scales]["params"].append(weight)  # type: ignore[union-attr]
        return Langevin(
            [group for group in groups if group["params"]],
            rows=rows,
            cycle=epoch * (self.epochs // self.cycles),
            burn_in=epoch * self._burning,
            seed=lesson.seed,
            **self._settings,
        )
