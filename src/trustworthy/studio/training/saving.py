"""A trained model in its folder: what `models.save_posterior` writes, and studio.json, what the studio knows of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from trustworthy.core.errors import DataError
from trustworthy.core.files import atomic_write
from trustworthy.models.posterior_folder import Recipe, load_posterior, save_posterior
from trustworthy.nn import Translator
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.values import Value

FILE = "studio.json"


class SavedModel(Value):
    """What is known of a trained model beside its weights.

    source, target : of the first pair of the training; what a prediction is written like.
    source_channels, target_channels : numbers of the channels that it takes and gives, from 0, in this order.
    stopped : epochs that each network had been trained for when a person stopped it; empty where nobody did.
    draws : answers that `predict` asks for. names : of the pairs, by part. seconds : of the training.
    notes : what deserved to be told while it was trained. versions : of the software.
    calibration : what `results` has learned from the validation images; None until then, or where there were none.
    """

    settings: TrainingSettings
    source: Description
    target: Description
    source_channels: tuple[int, ...]
    target_channels: tuple[int, ...]
    draws: int
    stopped: tuple[int, ...] = ()
    names: dict[str, tuple[str, ...]]
    seconds: float
    notes: tuple[str, ...] = ()
    versions: dict[str, str]
    calibration: dict[str, Any] | None = None

    def save(self, folder: Path) -> None:
        """Write studio.json anew, whole or not at all."""
        with atomic_write(folder / FILE) as stream:
            stream.write(self.model_dump_json(indent=1))


@dataclass(frozen=True)
class Saved:
    """A model as it was saved.

    model : in evaluation mode; takes the channels `about.source_channels` of an image in its own units, and answers
        in the units of the target. A posterior: `predict(model, x, draws=about.draws, generator=...)`.
    """

    model: Translator
    about: SavedModel


def save_model(model: Translator, folder: Path, recipe: Recipe, about: SavedModel) -> None:
    """Write a new folder that `load_saved` reads, whole or not at all.

    recipe : what builds `model` but for its weights.

    Raises
    ------
    CheckpointError : it cannot be written, on a full disk for instance.
    OSError : neither can studio.json.
    """
    try:
        save_posterior(model, folder, recipe)
        about.save(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def load_saved(folder: Path, device: torch.device | str = "cpu") -> Saved:
    """What `save_model` wrote, on `device`.

    Raises
    ------
    DataError, CheckpointError : files are missing, damaged or of another release.
    """
    try:
        about = SavedModel.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{folder / FILE} cannot be read as what the studio knows of a model ({error}); restore it from a copy, or "
            "train the model again."
        ) from error
    model, _, _ = load_posterior(folder, trust=False)
    if not isinstance(model, Translator):
        raise DataError(f"{folder} holds a {type(model).__name__}, and no model of the studio; train one here.")
    return Saved(model.to(device).eval(), about)
