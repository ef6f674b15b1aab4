"""What all ways of training share: a copy of a model is changed, trained by `fit`, and given its best weights."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import Posterior, as_posterior, members_of
from trustworthy.core.seeds import derived_seed, torch_generator
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.training import Checkpoints, CropAndFlip, Data, Engine, EpochRecord, History, Loss, fit, load_weights
from trustworthy.training.augmentation import Augmentation
from trustworthy.training.data import Arrays, as_dataset
from trustworthy.training.evaluation import Metric, OfModel
from trustworthy.training.likelihoods import Categorical, Likelihood
from trustworthy.training.run import Callback
from trustworthy.training.schedules import AbstractSchedule, Constant, Cosine, Phases
from trustworthy.training.update import MakeOptimizer
from trustworthy.training.weights import redrawn, seeded

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": functools.partial(torch.optim.SGD, momentum=0.9),
}
SCHEDULES: dict[str, AbstractSchedule] = {"constant": Constant(), "cosine": Cosine(), "phases": Phases()}
AUGMENTATIONS: dict[str, Augmentation] = {"crop-and-flip": CropAndFlip()}
ROWS = 256  # that are attacked at once
CLASSES = Categorical()
engine_by_default = Engine()
Change = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""`change(model, x, y, generator)`: what a model is asked about in the place of `x`, an attack on it for instance."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a method trains on, where its runs are kept, and who is told of each epoch.

    draw : a new network by a seed: of the same kind as the model that training begins with, with weights of its own.
    n_jobs : processes in which independent runs are trained, as joblib counts them; None for this one alone.
    """

    data: Data
    validation: Data | None
    checkpoints: Checkpoints | None
    draw: Callable[[int], nn.Module]
    seed: int
    engine: Engine = engine_by_default
    callbacks: Sequence[Callback] = ()
    n_jobs: int | None = None

    def part(self, name: str, seed: int | None = None) -> Lesson:
        """The same for one of several runs, with a folder of its own in that of the checkpoints, and perhaps a seed."""
        kept = self.checkpoints and dataclasses.replace(self.checkpoints, folder=Path(self.checkpoints.folder) / name)
        return dataclasses.replace(self, checkpoints=kept, seed=self.seed if seed is None else seed)

    def fresh(self, member: int) -> nn.Module:
        """The network that the further member number `member` begins with, counted from 1; 0 is the model itself."""
        return self.draw(derived_seed(self.seed, "member", member))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that a method has trained.

    model : in evaluation mode, with the weights of the epoch `best`; of an ensemble each member with those of its own.
    history : of the run that gave them, of an ensemble that of its last member.
    best : the epoch of that run chosen on the validation rows, by the score of the likelihood (accuracy, log
        likelihood) or, in a defence with an attack, by that score under it; the last one where there were no such rows.
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
class Method(ABC):
    """A way of training is a value: its fields are its settings; `fit` trains new networks, a call one that is there.

    A method of one's own is a frozen dataclass that derives from this one, and overrides what differs:

    - `train(model, lesson) -> Trained`: by default one run, `told(model, fitted(model, lesson, objective))`. Of several
      runs each has a name: `fitted(net, lesson.part("member-2", seed=...), loss)` trains it in a folder and by a seed
      of its own, and so it resumes alone; `lesson.fresh(k)` is the network that member k begins with;
    - `objective`: the training loss; by default the likelihood;
    - a field `loss: Likelihood = CLASSES`, where it is not for classes alone;
    - `transform`: what it does to the architecture, a name of `nn.TRANSFORMS` and the fields that are its options, so
      that a saved model is built again; and `changed(model)` where training begins with another one than it ends with,
      as ensembles do;
    - `metrics_anyway`: what is measured beside the score;
    - `__post_init__`: checks of its own fields, after those of `super()`.

    Whatever it draws comes from `lesson.seed`, by `derived_seed`, or in a loss from `moment.generator`.

    Parameters
    ----------
    epochs : passes over the data, >= 1.
    batch_size : examples in one step, >= 1.
    learning_rate : > 0.
    optimizer : "adam" or "sgd" (momentum 0.9).
    weight_decay : >= 0.
    schedule : "cosine", "constant", or "phases" (chapter 2: 80, 60, 40 and 20 of 200 epochs, each at a tenth of the
        rate of the one before and with a fresh optimizer).
    augment : "crop-and-flip" for images with labels, another augmentation of `trustworthy.training`, such as
        SameCropAndTurn() for pairs of images, or None.
    draws : answers of a stochastic model that are averaged where it is judged after an epoch, >= 1.
    """

    least_epochs: ClassVar[int] = 1
    transform: ClassVar[tuple[str, ...]] = ()

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"
    augment: str | Augmentation | None = None
    draws: int = 1

    def __post_init__(self) -> None:
        checks.integer("epochs", self.epochs, at_least=self.least_epochs)
        checks.integer("batch_size", self.batch_size, at_least=1)
        checks.real("learning_rate", self.learning_rate, above=0.0)
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.real("weight_decay", self.weight_decay, at_least=0.0)
        checks.choice("schedule", self.schedule, SCHEDULES)
        if isinstance(self.augment, str):
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
        n_jobs: int | None = None,
    ) -> Trained:
        """Train a copy of `model`, which is left as it is; its weights are the start.

        Interrupted and called again with the same arguments and `checkpoints`, it ends with the same weights. Further
        members of an ensemble begin with weights that each layer draws anew, by its `reset_parameters`.

        Parameters
        ----------
        data : pairs (x, y), see `training.fit`. Images lie in [0, 1].
        validation : rows that are not in `data`, on which the epoch is chosen; without them it is the last one.
        checkpoints : where the training is saved and resumed from, `best` being that of the method; None for nowhere.
        callbacks : called after each epoch of each run, see `training.fit`.
        engine : device, memory and display.
        seed : >= 0, of everything that is random.
        n_jobs : processes that train independent members side by side, as joblib counts them; None for this one alone.

        Raises
        ------
        InvalidInput, ModelContractError : an argument breaks its contract; found before any training.
        TrainingDiverged, CheckpointError : see `training.fit`.
        """
        if not isinstance(model, nn.Module):
            raise InvalidInput(
                f"model must be a torch module, got {type(model).__name__}; for a function that builds one there is "
                "method.fit(make_model, data)."
            )
        draw = functools.partial(redrawn, model)
        return self._trained(
            model, draw, data, seed, validation, checkpoints, callbacks=callbacks, engine=engine, n_jobs=n_jobs
        )

    @final
    def fit(
        self,
        make_model: Callable[[], nn.Module],
        data: Data,
        *,
        loss: Likelihood | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Posterior:
        """Train networks that `make_model()` gives, the first and the further ones under seeds of their own.

        Parameters
        ----------
        make_model : builds a network whose weights come from torch's global stream.
        loss : what the outputs say about the targets, in the place of `self.loss`.
        data, seed, options : as in a call: `validation`, `checkpoints`, `callbacks`, `engine`, `n_jobs`.

        Returns
        -------
        A posterior, for `predict`: an ensemble itself, which is a module; of another stochastic module its draws, and
        the module is its `model`.
        """
        if isinstance(make_model, nn.Module):
            raise InvalidInput(
                f"make_model must be a function that builds a network, got a {type(make_model).__name__}; give the "
                "function, or train copies of this network by calling the method: method(model, data).model."
            )
        draw = functools.partial(seeded, make_model)
        model = draw(derived_seed(seed, "member", 0))
        method = self if loss is None else self._for(loss)
        return as_posterior(method._trained(model, draw, data, seed, **options).model)

    def _for(self, loss: Likelihood) -> Self:
        if any(field.name == "loss" for field in dataclasses.fields(self)):
            return dataclasses.replace(self, loss=loss)
        raise InvalidInput(f"loss must be None, as {type(self).__name__} is for classes alone, got {loss}.")

    def _trained(
        self,
        model: nn.Module,
        draw: Callable[[int], nn.Module],
        data: Data,
        seed: int,
        validation: Data | None = None,
        checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Trained:
        if isinstance(checkpoints, str | os.PathLike):
            checkpoints = Checkpoints(checkpoints)
        changed = seeded(functools.partial(self.changed, model), derived_seed(seed, "changed"))
        for name, given in (("data", data), ("validation", validation)):
            if given is not None:
                self.check(name, changed, given)
        lesson = Lesson(data=data, validation=validation, checkpoints=checkpoints, draw=draw, seed=seed, **options)
        outcome = self.train(changed, lesson)
        if validation is None:
            note = "no validation rows were given, so the weights are those of the last epoch."
            outcome = dataclasses.replace(outcome, notes=(note, *outcome.notes))
        return outcome

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What is done to the architecture: names in `trustworthy.nn.transforms`, and their options."""
        if not self.transform:
            return ()
        name, *fields = self.transform
        return ((name, {field: getattr(self, field) for field in fields}),)

    @property
    def likelihood(self) -> Likelihood:
        """What the outputs say about the targets: `loss` of a method that has such a field, and classes otherwise."""
        loss = getattr(self, "loss", None)
        return loss if isinstance(loss, Likelihood) else CLASSES

    @property
    def objective(self) -> Loss:
        """What is minimised."""
        return self.likelihood

    @property
    def passes(self) -> int:
        """Epochs of all runs together, for who shows how far training is."""
        return self.epochs

    @property
    def augmentation(self) -> Augmentation | None:
        """What is done to each batch first."""
        return AUGMENTATIONS[self.augment] if isinstance(self.augment, str) else self.augment

    @property
    def metrics(self) -> dict[str, Metric]:
        """What is measured on the validation rows after each epoch; the last one is what the epoch is chosen by."""
        return {self.likelihood.score_name: self.measured(self.likelihood.score)}

    @property
    def metrics_anyway(self) -> dict[str, Metric]:
        """What is measured beside them, and on the training rows where there are no validation rows."""
        return {}

    def measured(self, score: Callable[[Predictive, Tensor], float], change: Change | None = None) -> OfModel:
        """`score` of the mean prediction of `draws` draws and the targets, of rows that are changed first.

        The random numbers are the same after each epoch.
        """

        def measure(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
            x, y = data
            generator = torch_generator(0, "judged", device=x.device)
            if change is not None:
                parts = zip(x.split(ROWS), y.split(ROWS), strict=True)
                x = torch.cat([change(model, *rows, generator) for rows in parts])
            draws = max(self.draws, members_of(model) or 1)
            return score(predict(model, x, draws=draws, generator=generator), y)

        return OfModel(measure)

    def changed(self, model: nn.Module) -> nn.Module:
        """What training begins with: a copy of `model`, with the architecture of the method."""
        for name, options in self.transforms:
            model = TRANSFORMS[name](model, **options)
        return model if self.transforms else copy.deepcopy(model)

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        """Train `model` in place and tell about it."""
        return self.told(model, self.fitted(model, lesson, self.objective))

    def told(self, model: nn.Module, *histories: History, notes: tuple[str, ...] = ()) -> Trained:
        """The outcome of several runs, of which the last one gave the weights of `model`."""
        history = histories[-1]
        return Trained(
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
        optimizer: MakeOptimizer | None = None,
        metrics: Mapping[str, Metric] = MappingProxyType({}),
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train `model` in place and leave it with the weights of the best epoch, which `History.best` is.

        epochs, schedule, optimizer : other ones than those of the method. metrics, callbacks : beside its own.
        """
        held_out, metrics = lesson.validation, {**metrics, **self.metrics_anyway, **self.metrics}
        best, checkpoints = list(metrics)[-1] if held_out is not None else None, lesson.checkpoints
        if held_out is None and self.metrics_anyway:
            held_out, metrics = lesson.data, self.metrics_anyway
        keeper = _Keeper(best) if best is not None and checkpoints is None else None
        if checkpoints is not None:
            checkpoints = dataclasses.replace(checkpoints, best=best)
        usual = functools.partial(OPTIMIZERS[self.optimizer], lr=self.learning_rate, weight_decay=self.weight_decay)
        history = fit(
            model,
            lesson.data,
            epochs=self.epochs if epochs is None else epochs,
            loss=loss,
            optimizer=optimizer or usual,
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

    def check(self, name: str, model: nn.Module, data: Data) -> None:
        """Refuse targets that do not fit the answer to the first row; those of a torch Dataset are seen in training."""
        dataset = as_dataset(name, data, model)
        if not isinstance(dataset, Arrays) or len(dataset.tensors) < 2:
            return
        x, y = dataset.tensors[:2]
        device = next((weight.device for weight in model.parameters()), x.device)
        generator = torch_generator(0, "check", device=device)
        try:
            outputs = predict(model, x[:1], generator=generator, device=device).members[0]
        except RuntimeError as error:  # what torch raises of shapes that do not fit
            raise ModelContractError(
                f"the model does not take a row of {name} x, of shape {tuple(x.shape[1:])} ({error}); give a model for "
                "such rows, or the data that it was made for."
            ) from error
        self.likelihood.check(outputs, x, y)
        if name == "data" and not y.is_floating_point() and len(known := y.unique()) < 2:
            raise InvalidInput(
                f"data y must hold two classes or more, got only {int(known[0])}: nothing is to be told apart. Give "
                "rows of other classes too."
            )


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
