"""FastEnsemble (Algorithm 10): further members from one trained network, by short runs that lead away from it."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, TrainingDiverged, warn
from trustworthy.core.protocols import Posterior
from trustworthy.core.seeds import derived_seed
from trustworthy.training import Batch, Checkpoints, Constant, Data, Engine, History, Loss, Moment
from trustworthy.training.data import share_of
from trustworthy.training.run import Callback
from trustworthy.uncertainty.ensembling import Ensembling, asked, some_rows
from trustworthy.uncertainty.method import Lesson, Trained, engine_by_default

LOOKED, LARGE = 1024, 2**26
"""Rows of training, and numbers of their inputs, at most, by which it is told whether a member is ruined."""
ANCHORS = {"all": slice(None), "last": slice(-1, None)}
BEGIN = {"seed": 0, "last": -1}
"""Which of the members so far, the seed first."""


@dataclass(frozen=True, kw_only=True)
class Apart:
    """loss(w) - weight / |M| * sum over the anchors w_a in M of mean |w - w_a|: eq. (5.2), lambda = weight / size of w.

    The mean is over all trained weights of the network, so that a weight means the same for networks of any size.

    Parameters
    ----------
    loss : of the batch. weight : >= 0.
    anchors : of each trained weight of the model, in the order of its parameters, the values (anchors, *shape).
    """

    loss: Loss
    weight: float
    anchors: tuple[Tensor, ...]

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        return self.loss(model, batch, moment) - self.weight * distance(trained_weights(model), self.anchors)


def distance(weights: Sequence[Tensor], anchors: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Mean absolute difference of the `weights` to `anchors` (anchors, *shape), over weights and anchors."""
    sums = [(weight - others).abs().sum() for weight, others in zip(weights, anchors, strict=True)]
    return torch.stack(sums).sum() / sum(others.numel() for others in anchors)


def trained_weights(model: nn.Module) -> list[Tensor]:
    """Parameters that are trained."""
    return [weight for weight in model.parameters() if weight.requires_grad]


@dataclass(frozen=True, kw_only=True)
class FastEnsemble(Ensembling):
    """A seed network is trained as usual; each further member explores away from all before it, and is refined.

    Exploring minimises eq. (5.2), the loss less the mean distance to the members so far, at a constant rate; refining
    minimises the loss alone, by the `schedule`. Both run on rows drawn anew without replacement where they last a
    fraction of an epoch. The members are told apart in `Trained.notes`: their distances and scores. The loss (5.2) has
    no lower bound: where `distance_weight` is so large that a member has lost most of what the seed has learned of the
    rows of training, or the run diverges, a warning or the error says so.

    Parameters
    ----------
    epochs : of the seed (k1), >= 0; 0 where the given network is the seed and stays as it is, see `from_seed`.
    members : with the seed, >= 1.
    explore, refine : epochs of each further member (k2, k3), > 0, fractions allowed.
    distance_weight : >= 0, what the mean absolute difference per weight is multiplied with: lambda in eq. (5.2) times
        the number of weights. Larger leads members further apart and makes each worse; to be chosen on validation rows.
    anchors : "all" members so far, as Algorithm 10 has it, or the "last" one, as the released code has.
    begin : each further member at the "seed", or where the "last" one ended.

    Cost: that of the seed, and (explore + refine) / epochs of it for each further member, at most 8 % where it is to be
    cheap; the distance costs one pass over the weights and their anchors a step.
    """

    epochs: int
    explore: float = 1.0
    refine: float = 1.0
    distance_weight: float = 5.0
    anchors: str = "all"
    begin: str = "seed"

    least_epochs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("explore", self.explore, above=0.0)
        checks.real("refine", self.refine, above=0.0)
        checks.real("distance_weight", self.distance_weight, at_least=0.0)
        checks.choice("anchors", self.anchors, ANCHORS)
        checks.choice("begin", self.begin, BEGIN)
        if self.epochs == 0 and self.members == 1:
            raise InvalidInput("members must be >= 2 where epochs is 0, got 1: nothing would be trained.")

    @property
    def passes(self) -> int:
        return self.epochs + (self.members - 1) * (math.ceil(self.explore) + math.ceil(self.refine))

    @classmethod
    def from_seed(
        cls,
        trained_model: nn.Module,
        data: Data,
        *,
        validation: Data | None = None,
        checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
        callbacks: Sequence[Callback] = (),
        engine: Engine = engine_by_default,
        seed: int = 0,
        **settings: Any,
    ) -> Posterior:
        """An ensemble out of a network that is trained already: its first member, with its weights as they are.

        Parameters
        ----------
        trained_model : trained on such data; it is copied.
        data, validation, checkpoints, callbacks, engine, seed : as in a call of a `Method`.
        settings : fields of the method but `epochs`: `members`, `explore`, `refine`, `distance_weight`, `loss`, ...

        Raises
        ------
        InvalidInput, ModelContractError : the network does not fit the data.
        """
        given: Any = {"validation": validation, "checkpoints": checkpoints, "callbacks": callbacks, "engine": engine}
        outcome = cls(epochs=0, **settings)(trained_model, data, seed=seed, **given)
        return outcome.model  # type: ignore[return-value]  # an Ensemble

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        model.to((lesson.engine.accelerator or Accelerator()).device)  # where the anchors are compared
        histories = [self.fitted(model, lesson.part("member-1"), self.objective)] if self.epochs else []
        networks = [model.eval()]
        numbers = some_rows(lesson.data, model, 1)[0].numel()
        rows = some_rows(lesson.data, model, max(1, min(LOOKED, LARGE // numbers)))
        before, guess = self._nats(model, rows), self.likelihood.guess(rows[1])
        notes = () if before < guess else (self._warned(
            f"the seed is no better on the rows of training than the best answer that does not look at the input: "
            f"{before:.3g} nats per row and {guess:.3g}. Train it on such rows first, or for more epochs."
        ),)  # fmt: skip
        for member in range(2, self.members + 1):
            network, runs = self._further(networks, lesson, member)
            networks.append(network)
            histories += runs
            after = self._nats(network, rows)
            if before < guess and not after < (before + guess) / 2:
                notes = (*notes, self._warned(self._ruined(member, after, before, guess)))
        told = [f"{each:.3g} per weight from the others" for each in apart(networks)]
        return self.gathered(networks, histories, lesson, told=told, notes=notes)

    def _further(self, networks: list[nn.Module], lesson: Lesson, member: int) -> tuple[nn.Module, list[History]]:
        network = copy.deepcopy(networks[BEGIN[self.begin]])
        known = [trained_weights(each) for each in networks[ANCHORS[self.anchors]]]
        stacks = tuple(torch.stack(each).detach() for each in zip(*known, strict=True))
        apart = Apart(loss=self.objective, weight=self.distance_weight, anchors=stacks)
        runs = []
        try:
            for stage, length, loss in (("explore", self.explore, apart), ("refine", self.refine, self.objective)):
                seed = derived_seed(lesson.seed, stage, member)
                part = lesson.part(f"member-{member}/{stage}", seed=seed)
                passes = math.ceil(length)
                rows = share_of(lesson.data, length / passes, seed)
                held_out = None if stage == "explore" else lesson.validation  # its best epoch would be the nearest one
                part = dataclasses.replace(part, data=rows, validation=held_out)
                schedule = Constant() if stage == "explore" else None
                runs.append(self.fitted(network, part, loss, epochs=passes, schedule=schedule))
        except TrainingDiverged as error:
            raise TrainingDiverged(
                f"member {member} of the ensemble: {error} Or lower distance_weight, {self.distance_weight:g}: the "
                "loss of exploring has no lower bound."
            ) from error
        return network, runs

    def _nats(self, model: nn.Module, rows: tuple[Tensor, Tensor]) -> float:
        """Mean nats per row of `model` in evaluation mode."""
        return self.likelihood.data_term(asked(model, rows[0]), rows[1])

    def _ruined(self, member: int, after: float, before: float, guess: float) -> str:
        return (
            f"member {member} has lost most of what the seed has learned: it has {after:.3g} nats per row of training, "
            f"the seed {before:.3g}, and the best answer that does not look at the input {guess:.3g}. Lower "
            f"distance_weight, {self.distance_weight:g}, or raise refine, {self.refine:g}."
        )

    def _warned(self, note: str) -> str:
        warn(note)
        return note


def apart(networks: Iterable[nn.Module]) -> list[float]:
    """Of each network its mean distance to the others."""
    known = [[weight.detach() for weight in trained_weights(network)] for network in networks]
    found = [0.0] * len(known)
    for (i, one), (j, other) in itertools.combinations(enumerate(known), 2):
        between = float(distance(one, [weight[None] for weight in other])) / (len(known) - 1)
        found[i], found[j] = found[i] + between, found[j] + between
    return found
