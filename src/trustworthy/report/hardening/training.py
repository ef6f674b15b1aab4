"""One defended network: trained, resumed, and saved with what its training was."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, TrustworthyWarning, warn
from trustworthy.core.guard import precision
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import members_of
from trustworthy.core.study import writing
from trustworthy.defenses import Defense
from trustworthy.models import LoadedModel
from trustworthy.models.posterior_folder import Recipe, save_posterior
from trustworthy.nn.noise import BernoulliGaussianNoise, GaussianNoise
from trustworthy.report.audit import OnProgress
from trustworthy.report.hardening.network import NETWORK, in_attacked_units
from trustworthy.report.hardening.rows import Parts
from trustworthy.training import Checkpoints, Engine, EpochRecord, History
from trustworthy.training.weights import first_few, model_tensors, redrawn
from trustworthy.uncertainty import Method, NaiveEnsemble, Trained

CHECKPOINTS, RUN = "checkpoints", "run.json"
SHORT = 30
"""Letters of a setting up to which it is shown; others are long, or digests."""
NOISE = (GaussianNoise, BernoulliGaussianNoise)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trainer:
    """What the trainings of one hardening share.

    recipe : how the network is built; folder : where it is saved, both None to keep it in memory alone.
    eps : radius of the attacks, for what is told.
    tell : told the name, the step and the share of it that is done.
    """

    rows: Parts
    recipe: Recipe | None
    folder: Path | None
    eps: float
    seed: int
    device: torch.device
    tell: OnProgress

    def train(self, name: str, defense: Method, start: nn.Module, begin: str) -> LoadedModel:
        """Train by `defense` from the weights of `start`, which `begin` calls; go on where it was interrupted."""
        folder = None if self.folder is None else self.folder / name
        if folder is not None:
            self._same_run(folder / CHECKPOINTS, defense, start)

        before = current = 0  # epochs of the runs that are over, and of this one

        def after_epoch(model: nn.Module, history: History) -> None:
            nonlocal before, current
            before += current if len(history.records) <= current else 0
            current = len(history.records)
            self.tell(name, "training", min(1.0, (before + current) / defense.passes))

        self.tell(name, "training", 0.0)
        attacked = isinstance(defense, Defense)  # others train on the rows as the network takes them
        network = in_attacked_units(start, self.rows.domain) if attacked else start
        train, validation = (
            (x if attacked else self.rows.domain.as_given(x), y) for x, y in (self.rows.train, self.rows.validation)
        )
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            defended = defense(
                network, train, validation=validation,
                checkpoints=None if folder is None else Checkpoints(folder / CHECKPOINTS), seed=self.seed,
                engine=Engine.on(self.device), callbacks=[after_epoch],
            )  # fmt: skip
        network = defended.model.get_submodule(NETWORK) if attacked else defended.model
        about = self._about(defended, defense, begin)
        if folder is not None and self.recipe is not None:
            built = replace(self.recipe, transforms=(*self.recipe.transforms, *defended.transforms))
            with _told_before():
                save_posterior(network, folder, built, about)
        return LoadedModel(model=network, name=name, source="" if folder is None else str(folder), about=about)

    def check(self, defense: Method, model: nn.Module) -> None:
        """Refuse, before anything is trained, a network in which the defence finds nothing to change."""
        with _told_before():
            changed = defense.changed(in_attacked_units(model, self.rows.domain)).to(self.device)
        if isinstance(defense, NaiveEnsemble) and defense.members > 1:
            redrawn(model, self.seed)
        noise = next((layer for layer in changed.modules() if isinstance(layer, NOISE)), None)
        if noise is not None and self.rows.domain.kind == "table":
            x = self.rows.train[0].to(self.device, precision(model))
            _check_noise(noise.sigma, _entering(noise, changed, x))

    def _same_run(self, folder: Path, defense: Method, start: nn.Module) -> None:
        """Refuse checkpoints of a run with other settings, and say in which they differ; note those of this run."""
        now = {
            "method": type(defense).__name__,
            **{field.name: repr(getattr(defense, field.name)) for field in fields(defense)},
            "seed": str(self.seed),
            "rows": self.rows.fingerprint,
            "weights to begin from": digest(model_tensors(start)),
        }
        file = folder / RUN
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with writing(file) as stream:
                json.dump(now, stream, indent=1)
            return
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = [
            f"{name} was {before.get(name)}, is {value}" if len(value) < SHORT else f"other {name}"
            for name, value in now.items()
            if before.get(name) != value
        ]
        if changed:
            raise InvalidInput(
                f"{folder.parent} holds a network of other settings: {'; '.join(first_few(changed, 4))}. Choose "
                "another out, or delete that folder."
            )

    def _about(self, defended: Trained, defense: Method, begin: str) -> dict[str, Any]:
        """What `model.json` says of the training."""
        return {"training": {
            "defense": repr(defense), "begins_from": begin, "data": self.rows.dataset.name,
            "rows": len(self.rows.train[1]), "rows_that_choose": len(self.rows.validation[1]), "seed": self.seed,
            "eps": self.eps, "units": self.rows.domain.units, "epochs": defense.epochs, "seconds": defended.seconds,
            "best": _told(defended.best), "last": _told(defended.last),
            "members": members_of(defended.model), "notes": list(defended.notes),
        }}  # fmt: skip


@contextmanager
def _told_before() -> Iterator[None]:
    """Without the warnings about an architecture, which are given once, where it is trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrustworthyWarning)
        yield


def _told(record: EpochRecord) -> Mapping[str, Any]:
    return {"epoch": record.epoch, **record.metrics}


def _entering(layer: nn.Module, model: nn.Module, x: Tensor) -> Tensor:
    """What comes into `layer` when `model` is asked about `x`."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    try:
        predict(model, x, generator=torch.Generator(x.device).manual_seed(0))
    finally:
        hook.remove()
    return torch.cat(seen)


def _check_noise(sigma: float, x: Float[Tensor, "n features"]) -> None:
    """Warn where noise of one size is much to some columns and nothing to others."""
    spread = x.double().std(0)
    low, high = (float(end) for end in spread[spread > 0].aminmax())
    if low < sigma or high > 100 * sigma:
        warn(
            f"noise of standard deviation {sigma:g} is added to columns that vary by {low:.2g} to {high:.2g}, so that "
            "it drowns some or is nothing to others; begin the network with trustworthy.nn.Normalize(mean, std)."
        )
