"""What all defences share: a copy of the model is changed, trained by `training.fit`, and given its best weights."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from trustworthy.attacks.attack import Attack
from trustworthy.core import checks
from trustworthy.core.inputs import as_batch
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.seeds import torch_generator
from trustworthy.defenses.likelihoods import Categorical, Likelihood
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.training import Checkpoints, CropAndFlip, Data, Engine, EpochRecord, History, Loss, fit, load_weights
from trustworthy.training.augmentation import Augmentation
from trustworthy.training.data import Arrays, as_dataset
from trustworthy.training.evaluation import Metric, OfModel
from trustworthy.training.run import Callback
from trustworthy.training.schedules import AbstractSchedule, Constant, Cosine, Phases

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": functools.partial(torch.optim.SGD, momentum=0.9),
}
SCHEDULES: dict[str, AbstractSchedule] = {"constant": Constant(), "cosine": Cosine(), "phases": Phases()}
AUGMENTATIONS: dict[str, Augmentation] = {"crop-and-flip": CropAndFlip()}
ROWS = 256  # that are judged at once
engine_by_default = Engine()


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a defence is trained on, where its runs are kept, and who is told of each epoch."""

    data: Data
    validation: Data | None
    checkpoints: Checkpoints | None
    engine: Engine
    seed: int
    callbacks: Sequence[Callback] = ()

    def part(self, name: str, seed: int | None = None) -> Lesson:
        """The same for one of several runs, with a folder of its own in that of the checkpoints, and perhaps a seed."""
        kept = self.checkpoints and dataclasses.replace(self.checkpoints, folder=Path(self.checkpoints.folder) / name)
        return dataclasses.replace(self, checkpoints=kept, seed=self.seed if seed is None else seed)


@dataclass(frozen=True, kw_only=True)
class Defended:
    """A model that a defence has trained.

    model : in evaluation mode, with the weights of the epoch `best`.
    history : of the run that gave them, and the runs before it where one follows from the other.
    best : the epoch chosen on the validation rows: of the highest accuracy under the attack of the defence, of the
        highest accuracy where it has none, the last one where there were no validation rows.
    last : the last epoch; robust accuracy often falls towards the end of a run while the loss still falls.
    transforms : what was done to the architecture, as `trustworthy.nn.transforms` names it.
    seconds : of all training, without the time that an interrupted run stood still.
    notes : what deserves to be told: a choice made without validation rows, a collapse and what was done about it.
    """

    model: nn.Module
    history: History
    best: EpochRecord
    last: EpochRecord
    transforms: tuple[tuple[str, dict[str, Any]], ...]
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Defense(ABC):
    """A defence is a value: its fields are its settings, calling it trains.

    Parameters
    ----------
    epochs : passes over the data, >= 1.
    batch_size : examples in one step, >= 1.
    learning_rate : > 0.
    optimizer : "adam" or "sgd" (momentum 0.9).
    weight_decay : >= 0.
    schedule : "cosine", "constant", or "phases" (chapter 2: 80, 60, 40 and 20 of 200 epochs, each at a tenth of the
        rate of the one before and with a fresh optimizer).
    augment : "crop-and-flip" for images, or None.
    draws : answers of a stochastic model that are averaged where it is judged after an epoch, >= 1.
    """

    likelihood: ClassVar[Likelihood] = Categorical()
    """What the outputs say about the targets."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    augment: str | None = None
    draws: int = 1

    def __post_init__(self) -> None:
        checks.integer("epochs", self.epochs, at_least=1)
        checks.integer("batch_size", self.batch_size, at_least=1)
        checks.real("learning_rate", self.learning_rate, above=0.0)
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.real("weight_decay", self.weight_decay, at_least=0.0)
        checks.choice("schedule", self.schedule, SCHEDULES)
        if self.augment is not None:
            checks.choice("augment", self.augment, AUGMENTATIONS)
        checks.integer("draws", self.draws, at_least=1)

    @final
    def __call__(
        self,
        model: nn.Module,
        data: Data,
        *,
        validation: Data | None = None,
        checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
        callbacks: Sequence[Callback] = (),
        engine: Engine = engine_by_default,
        seed: int = 0,
    ) -> Defended:
        """Train a defended copy of `model`, which is left as it is; its weights are the start.

        Interrupted and called again with the same arguments and `checkpoints`, it ends with the same weights.

        Parameters
        ----------
        data : pairs (x, y), see `training.fit`. Images lie in [0, 1].
        validation : rows that are not in `data`, on which the epoch is chosen; without them it is the last one.
        checkpoints : where the training is saved and resumed from, `best` being that of the defence; None for nowhere.
        callbacks : called after each epoch of each run, see `training.fit`.
        engine : device, memory and display.
        seed : >= 0, of everything that is random.

        Raises
        ------
        InvalidInput, ModelContractError : an argument breaks its contract; found before any training.
        TrainingDiverged, CheckpointError : see `training.fit`.
        """
        if isinstance(checkpoints, str | os.PathLike):
            checkpoints = Checkpoints(checkpoints)
        defended = self.changed(model)
        for name, given in (("data", data), ("validation", validation)):
            if given is not None:
                self._check(name, defended, given)
        lesson = Lesson(
            data=data, validation=validation, checkpoints=checkpoints, engine=engine, seed=seed, callbacks=callbacks
        )
        outcome = self.train(defended, lesson)
        if validation is None:
            note = "no validation rows were given, so the weights are those of the last epoch."
            outcome = dataclasses.replace(outcome, notes=(note, *outcome.notes))
        return outcome

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What is done to the architecture: names in `trustworthy.nn.transforms`, and their options."""
        return ()

    @property
    @abstractmethod
    def objective(self) -> Loss:
        """What is minimised."""

    @property
    def judge(self) -> Attack | None:
        """The attack that the weights are chosen by; None to choose them without one."""
        return None

    @property
    def augmentation(self) -> Augmentation | None:
        """What is done to each batch first."""
        return None if self.augment is None else AUGMENTATIONS[self.augment]

    @property
    def metrics(self) -> dict[str, Metric]:
        """What is measured on the validation rows after each epoch; the last one is what the epoch is chosen by."""
        name, score = self.likelihood.score_name, self.likelihood.score
        robust = {} if self.judge is None else {f"robust_{name}": self.measured(score, self.judge)}
        return {name: self.measured(score), **robust}

    @property
    def metrics_anyway(self) -> dict[str, Metric]:
        """What is measured beside them, and on the training rows where there are no validation rows."""
        return {}

    def measured(self, score: Callable[[Predictive, Tensor], float], attack: Attack | None = None) -> OfModel:
        """`score` of the mean prediction of `draws` draws and the targets, of rows that `attack` has changed first.

        The random numbers are the same after each epoch.
        """

        def measure(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
            x, y = data
            generator = torch_generator(0, "judged", device=x.device)
            if attack is not None:
                parts = zip(x.split(ROWS), map(self.likelihood.goal, y.split(ROWS)), strict=True)
                given: Any = {"noisy": self.draws > 1, "generator": generator}
                x = torch.cat([attack.seek(model, rows, goal, **given) for rows, goal in parts])
            return score(predict(model, x, draws=self.draws, batch_size=ROWS, generator=generator), y)

        return OfModel(measure)

    def changed(self, model: nn.Module) -> nn.Module:
        """A copy of `model` with the architecture of the defence."""
        for name, options in self.transforms:
            model = TRANSFORMS[name](model, **options)
        return model if self.transforms else copy.deepcopy(model)

    def train(self, model: nn.Module, lesson: Lesson) -> Defended:
        """Train `model` in place and tell about it."""
        return self.told(model, self.fitted(model, lesson, self.objective))

    def told(self, model: nn.Module, *histories: History, notes: tuple[str, ...] = ()) -> Defended:
        """The outcome of several runs, of which the last one gave the weights of `model`."""
        history = histories[-1]
        return Defended(
            model=model,
            history=history,
            best=history.best or history.records[-1],
            last=history.records[-1],
            transforms=self.transforms,
            seconds=sum(record.seconds for each in histories for record in each.records),
            notes=notes,
        )

    def fitted(
        self,
        model: nn.Module,
        lesson: Lesson,
        loss: Loss,
        *,
        epochs: int | None = None,
        schedule: AbstractSchedule | None = None,
        metrics: Mapping[str, Metric] = MappingProxyType({}),
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train `model` in place and leave it with the weights of the best epoch, which `History.best` is.

        epochs, schedule : other ones than those of the defence. metrics, callbacks : beside those of the defence.
        """
        held_out, metrics = lesson.validation, {**metrics, **self.metrics_anyway, **self.metrics}
        best, checkpoints = list(metrics)[-1] if held_out is not None else None, lesson.checkpoints
        if held_out is None and self.metrics_anyway:
            held_out, metrics = lesson.data, self.metrics_anyway
        keeper = _Keeper(best) if best is not None and checkpoints is None else None
        if checkpoints is not None:
            checkpoints = dataclasses.replace(checkpoints, best=best)
        history = fit(
            model,
            lesson.data,
            epochs=self.epochs if epochs is None else epochs,
            loss=loss,
            optimizer=functools.partial(
                OPTIMIZERS[self.optimizer], lr=self.learning_rate, weight_decay=self.weight_decay
            ),
            schedule=SCHEDULES[self.schedule] if schedule is None else schedule,
            batch_size=self.batch_size,
            augment=self.augmentation,
            validation=held_out,
            metrics=metrics,
            callbacks=[*lesson.callbacks, *callbacks, *([keeper] if keeper else [])],
            checkpoints=checkpoints,
            engine=lesson.engine,
            seed=lesson.seed,
        )
        if keeper is not None and keeper.best is not None:
            model.load_state_dict(keeper.weights)
            return dataclasses.replace(history, best=keeper.best)
        if checkpoints is not None and history.best is not None:
            load_weights(model, checkpoints.best_path)
        return history

    def _check(self, name: str, model: nn.Module, data: Data) -> None:
        """Refuse targets that do not fit the answer to the first row; those of a torch Dataset are seen in training."""
        dataset = as_dataset(name, data, model)
        if not isinstance(dataset, Arrays) or len(dataset.tensors) < 2:
            return
        x, y = dataset.tensors[:2]
        if self.judge is not None:
            as_batch(x, self.judge.bounds, f"{name} x")
        device = next((weight.device for weight in model.parameters()), x.device)
        generator = torch_generator(0, "check", device=device)
        outputs = predict(model, x[:1], generator=generator, device=device).members[0]
        self.likelihood.check(outputs, x, y)


class _Keeper:
    """A callback that keeps the weights of the best epoch in memory, for a run without checkpoints."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self.best: EpochRecord | None = None
        self.weights: Mapping[str, Tensor] = {}

    def __call__(self, model: nn.Module, history: History) -> None:
        record = history.records[-1]
        if record.metrics[self._metric] > (-torch.inf if self.best is None else self.best.metrics[self._metric]):
            self.best, self.weights = record, copy.deepcopy(model.state_dict())
