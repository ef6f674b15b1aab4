"""Jobs on pairs of arrays, with models that are made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trustworthy.core.record import versions
from trustworthy.models import Recipe
from trustworthy.nn import Ensemble, Translator, UNet
from trustworthy.studio.db.tables import new_id
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.images.writing import write_image
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.saving import SavedModel, save_model
from trustworthy.studio.training.task import Orders, Picture, Place, Task

WIDTH, DEPTH = 4, 2
Pair = tuple[str, np.ndarray, np.ndarray | None]
"""Part, source and target, each with the axes that the job names."""


def job(root: Path, pairs: Sequence[Pair], axes: tuple[str, str] = ("YX", "YX"), **more: Any) -> Orders:
    """Orders of a job whose images lie in the studio `root`. axes : of sources and of targets.

    more : fields of the `Task`.
    """
    fields = {"job": new_id(), "project": new_id(), "project_name": "Wells", "kind": "train", **more}
    orders = Orders(task=Task(places=(), **fields), attempt=1, data_dir=root, device="cpu")

    def picture(name: str, values: np.ndarray, named: str) -> Picture:
        made = new_id()
        like = Description(axes=named, shape=values.shape, dtype=values.dtype.name, pixel_size={"X": 0.5, "Y": 0.5})
        path = orders.storage.image(fields["project"], made, ".tif")
        write_image(path, planes_of(values, named), like, values.dtype)
        with open_image(path) as opened:
            return Picture(id=made, name=name, suffix=".tif", sha256="0" * 64, description=opened.description)

    places = tuple(
        Place(
            name=f"well {number}", part=part, source=picture(f"phase/well {number}.tif", source, axes[0]),
            target=None if target is None else picture(f"dapi/well {number}.tif", target, axes[1]),
        )
        for number, (part, source, target) in enumerate(pairs)
    )  # fmt: skip
    return orders.model_copy(update={"task": orders.task.model_copy(update={"places": places})})


def planes_of(values: np.ndarray, axes: str) -> list[np.ndarray]:
    """Planes (channels, height, width) of an array with these axes."""
    ordered = values.transpose([axes.index(axis) for axis in "TZCSYX" if axis in axes])
    channels = int(np.prod([values.shape[axes.index(axis)] for axis in "CS" if axis in axes]))
    return list(ordered.reshape(-1, channels, *ordered.shape[-2:]))


def translator(
    networks: Sequence[nn.Module], sources: Sequence[np.ndarray], targets: Sequence[np.ndarray]
) -> Translator:
    """An ensemble, or one network, with statistics of images (channels, height, width)."""
    net = Ensemble(networks) if len(networks) > 1 else networks[0]
    return Translator.of(net, list(sources), list(targets)).eval()


def untrained(members: int, channels: tuple[int, int] = (1, 1), seed: int = 0) -> list[UNet]:
    """Networks that answer something, and not the same."""
    torch.manual_seed(seed)
    return [UNet(*channels, width=WIDTH, depth=DEPTH) for _ in range(members)]


def saved(
    orders: Orders, model: Translator, folder: Path, network: tuple[int, int] = (WIDTH, DEPTH), **settings: Any
) -> Path:
    """The folder of a saved model of this job. network : width and depth."""
    first, members = orders.task.places[0], len(model.net) if isinstance(model.net, Ensemble) else 1
    options = {"in_channels": len(model.source.mean), "out_channels": len(model.target.mean)}
    options |= {"width": network[0], "depth": network[1]}
    channels = {"source_channels": options["in_channels"], "target_channels": options["out_channels"]}
    steps = (("ensemble", {"members": members}),) if members > 1 else ()
    parts = {
        part: tuple(p.name for p in orders.task.places if p.part == part) for part in ("train", "validation", "test")
    }
    about = SavedModel(
        settings=TrainingSettings(members=members, **settings), source=first.source.description,
        target=(first.target or first.source).description,
        source_channels=tuple(range(options["in_channels"])), target_channels=tuple(range(options["out_channels"])),
        draws=members, names=parts, seconds=1.0, versions=versions(),
    )  # fmt: skip
    save_model(model, folder, Recipe("trustworthy.nn:UNet", options, (*steps, ("translate", channels))), about)
    return folder
