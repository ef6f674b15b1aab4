"""Catastrophic overfitting of single-step adversarial training: seen within an epoch, undone, and gone on from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from trustworthy.attacks.fgsm import UniformFGSM
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, warn
from trustworthy.core.seeds import derived_seed
from trustworthy.defenses.defense import Defense
from trustworthy.training.run import EpochRecord, History
from trustworthy.training.schedules import AbstractSchedule
from trustworthy.uncertainty.method import SCHEDULES, Lesson, Trained

SINGLE = "single_step_accuracy"
ROBUST = "robust_accuracy"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """After each epoch the validation rows are attacked by the single step of the training and by PGD.

    A network that has learned to answer the single step alone is right after it and wrong after PGD, from one epoch to
    the next. Where PGD leaves less than the share `left` of the best accuracy that it left after an epoch before, or
    (as long as the step is not shortened, and so reaches as far as PGD) of the accuracy that the single step leaves,
    and at least `gap` less than the single step, the epoch has collapsed: training goes back to the weights that were
    best under PGD and goes on with a step shorter by the factor `shrink`, for the epochs that are left of all that were
    asked for. It ends where it collapses once more after `tries` shorter steps, as a step far inside of the ball trains
    for little.

    Parameters
    ----------
    tries : >= 0.
    shrink : in (0, 1).
    left : in (0, 1).
    gap : in [0, 1].

    Cost: one gradient more for each validation row and epoch. Seen in locuslab/fast_adversarial, issue 4: radius
    12/255 collapses with steps of 1.25 radii and holds with 1.08.
    """

    tries: int = 2
    shrink: float = 0.7
    left: float = 1 / 3
    gap: float = 0.1

    def __post_init__(self) -> None:
        checks.integer("tries", self.tries, at_least=0)
        checks.fraction("shrink", self.shrink)
        checks.fraction("left", self.left)
        checks.real("gap", self.gap, at_least=0.0, at_most=1.0)

    def collapsed(self, records: Sequence[EpochRecord], before: float | None = None) -> bool:
        """Whether the last of the epochs of a stage has collapsed.

        before : the best accuracy under PGD of earlier stages; None in the first one.
        """
        *earlier, last = records
        single, robust = last.metrics[SINGLE], last.metrics[ROBUST]
        expected = max([single if before is None else before, *(record.metrics[ROBUST] for record in earlier)])
        return robust < self.left * expected and single - robust >= self.gap

    def train(self, defense: Defense, model: nn.Module, lesson: Lesson) -> Trained:
        """Train `model` by `defense` in stages, each of which ends where the epochs or the step do.

        A stage is a run of its own with a folder of its own, and what follows it is read from its records: all stages
        are resumed alike.
        """
        if lesson.validation is None:
            raise InvalidInput(
                "validation must hold rows for the watch over fast adversarial training, got None; give some, or "
                "watch=None to train unwatched."
            )
        loss: Any = defense.objective
        attack: UniformFGSM = loss.attack
        records: tuple[EpochRecord, ...] = ()
        notes: tuple[str, ...] = ()
        best: EpochRecord | None = None
        kept: dict[str, Tensor] = {}
        steps, resumed_from = 0, None
        for stage in range(1, self.tries + 2):
            start, spent, before = copy.deepcopy(model.state_dict()), len(records), best and best.metrics[ROBUST]
            history = defense.fitted(
                model,
                lesson.part(f"stage-{stage}", seed=derived_seed(lesson.seed, "stage", stage) if stage > 1 else None),
                replace(loss, attack=attack),
                epochs=defense.epochs - spent,
                schedule=Later(schedule=SCHEDULES[defense.schedule], skipped=steps),
                metrics={SINGLE: defense.measured(defense.likelihood.score, defense.under(attack))},
                callbacks=[lambda model, history, before=before: self.collapsed(history.records, before)],
            )
            own = [replace(record, epoch=record.epoch + spent) for record in history.records]
            records, steps = (*records, *own), steps + history.steps
            resumed_from = history.resumed_from if stage == 1 else resumed_from
            found = own[(history.best or history.records[-1]).epoch - 1]
            if best is None or found.metrics[ROBUST] > best.metrics[ROBUST]:
                best, kept = found, copy.deepcopy(model.state_dict())
            if self.collapsed(own, before):
                attack = replace(attack, step=attack.step * self.shrink)
                sound = best is not own[-1]
                model.load_state_dict(kept if sound else start)
                back = f"of epoch {best.epoch}" if sound else f"before epoch {spent + 1}"
                if stage > self.tries:
                    what_next = "ends: the single step does not hold at this radius. Use AdversarialTraining.pgd"
                elif len(records) == defense.epochs:
                    what_next = "ends, as no epochs are left. Train for more, or by AdversarialTraining.pgd"
                else:
                    what_next = f"goes on with a step of {attack.step:.3g} radii for the epochs that are left"
                notes = (*notes, _told(own[-1], back, what_next))
                warn(notes[-1])
            if len(records) == defense.epochs:
                break
        model.load_state_dict(kept)
        history = History(records=records, steps=steps, resumed_from=resumed_from, best=best)
        return defense.told(model, history, notes=notes)


@dataclass(frozen=True, kw_only=True)
class Later(AbstractSchedule):
    """`schedule` as it goes on after the first `skipped` steps of a longer run."""

    schedule: AbstractSchedule
    skipped: int

    def factor(self, step: int, steps: int) -> float:
        return self.schedule.factor(step + self.skipped, steps + self.skipped)

    def phase(self, step: int, steps: int) -> int:
        return self.schedule.phase(step + self.skipped, steps + self.skipped)


def _told(record: EpochRecord, back: str, what_next: str) -> str:
    return (
        f"catastrophic overfitting in epoch {record.epoch}: {record.metrics[SINGLE]:.1%} of the validation rows "
        f"withstand the single step of the training, {record.metrics[ROBUST]:.1%} PGD. Training goes back to the "
        f"weights {back} and {what_next}."
    )
