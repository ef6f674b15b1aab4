"""One method trained once: resumed where it was interrupted, kept where it ended, with what it cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.core.record import versions
from trustworthy.core.study import writing
from trustworthy.models.posterior_folder import is_posterior_folder, load_posterior, save_posterior
from trustworthy.report.benchmark.profiles import Profile
from trustworthy.report.benchmark.trials import ImageTrial, Tell, Trial
from trustworthy.training import Engine, History
from trustworthy.training.weights import model_tensors
from trustworthy.uncertainty import METHODS, Method

SINGLE = "single"
"""Name of one network alone, with which the methods are compared."""
OFFERED = {SINGLE: METHODS["naive"], **METHODS}
CHECKPOINTS, TALLY = "checkpoints", "tally.json"
DROPOUT = 0.5
"""Rate of the dropout in the U-Net of MC-dropout, as in the dissertation."""


def known_methods(names: Sequence[str] | None) -> list[str]:
    """The names, each once, all of them where none are given; unknown ones are refused."""
    wanted = list(dict.fromkeys(OFFERED if names is None else names))
    if not wanted:
        raise InvalidInput(f"methods must name at least one, got none. Known: {', '.join(OFFERED)}.")
    for name in wanted:
        checks.choice("method", name, OFFERED)
    return wanted


def methods_of(names: Sequence[str], profile: Profile, trial: Trial) -> dict[str, Method]:
    """The methods by name, with the settings of the profile that fit what they are to learn.

    The nats of images are means over pixels and count an image once, so that noise and the prior of the weights would
    drown them: they are as weak as in the released code, where the KL divergence has the factor 1e-6 beside the mean.
    """
    own: dict[str, dict[str, Any]] = {name: {"members": profile.members} for name in ("naive", "snapshot", "batch")}
    own |= {SINGLE: {"members": 1}, "fast": {"members": profile.members}, "sgld": {"samples": profile.members}}
    if isinstance(trial, ImageTrial):
        usual = {"epochs": profile.epochs, "batch_size": profile.batch_size, "learning_rate": profile.learning_rate}
        own["fast"] |= {"distance_weight": 10.0}
        own["svi"] = {"prior_std": 0.02, "init_std": 0.0067, "alpha": min(1.0, 1e-6 * len(trial.train))}
        own["sgld"] |= {"preconditioned": True, "learning_rate": 1e-3, "temperature": 1e-3}
    else:
        usual = {"epochs": profile.row_epochs, "batch_size": profile.row_batch_size}
    return {name: OFFERED[name](**usual | own.get(name, {})) for name in names}


def fitted(
    trial: Trial, name: str, method: Method, seed: int, folder: Path | None, device: torch.device, tell: Tell
) -> tuple[nn.Module, dict[str, Any]]:
    """A model in own units of `trial`, trained by `method` or taken from `folder` if it is exactly this, and its cost.

    The cost are `seconds` of all training and `passes`, gradient steps over those of one pass over the data.

    folder : where the model is kept, for `models.load_model`; None for nowhere.
    """
    recipe = trial.recipe(DROPOUT if name == "mc-dropout" else 0.0)
    x, y = trial.data
    units = model_tensors(trial.model(nn.Identity()))  # images in other units may be the same to the network
    built = (recipe.factory, recipe.options, versions(), str(device))
    mark = digest(repr(method), repr(trial.loss), seed, x, y, units, *built)
    if folder is not None and is_posterior_folder(folder):
        model, _, about = load_posterior(folder, trust=False)
        if about.get("mark") == mark:
            return model, about
    runs = None if folder is None else folder / CHECKPOINTS / mark
    tally = _Tally(runs and runs / TALLY, -(-len(x) // method.batch_size), method.passes, tell)
    posterior: Any = method.fit(
        recipe.build, (x, y), loss=trial.loss, seed=seed, callbacks=[tally], checkpoints=runs, engine=Engine.on(device)
    )
    model = trial.model(posterior if isinstance(posterior, nn.Module) else posterior.model)
    if folder is not None:
        about = {"mark": mark, "method": repr(method), "seed": seed, "preprocessing": trial.preprocessing, **tally.told}
        save_posterior(model, folder, replace(recipe, transforms=(*method.transforms, *trial.transforms)), about)
        shutil.rmtree(folder / CHECKPOINTS)  # of several networks with their optimizers: many times what is kept
    return model, tally.told


class _Tally:
    """A callback that counts what the runs of a method cost, in a file that outlives an interruption, and tells it.

    A run that is interrupted between this call and its checkpoint repeats the epoch, with the same loss to the bit: it
    is counted once.
    """

    def __init__(self, file: Path | None, steps: int, expected: float, tell: Callable[[float], None]) -> None:
        self._file, self._steps, self._expected, self._tell = file, steps, expected, tell
        self._seen: list[dict[str, float]] = []
        if file is not None and file.is_file():
            self._seen = json.loads(file.read_text(encoding="utf-8"))

    def __call__(self, model: nn.Module, history: History) -> None:
        record = history.records[-1]
        now = {
            "epoch": record.epoch, "loss": record.loss, "seconds": record.seconds,
            "passes": history.steps / len(history.records) / self._steps,
        }  # fmt: skip
        if self._seen and all(self._seen[-1][name] == now[name] for name in ("epoch", "loss")):
            self._seen.pop()
        self._seen.append(now)
        if self._file is not None:
            with writing(self._file) as stream:
                json.dump(self._seen, stream)
        self._tell(min(1.0, self.told["passes"] / self._expected))

    @property
    def told(self) -> dict[str, float]:
        """Seconds and passes of all runs."""
        return {name: sum(epoch[name] for epoch in self._seen) for name in ("seconds", "passes")}
