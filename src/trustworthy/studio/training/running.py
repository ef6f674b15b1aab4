"""A training from its images to a saved model; killed at any moment and begun again, it ends with the same weights."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.core.files import atomic_write
from trustworthy.core.record import versions
from trustworthy.nn import UNet
from trustworthy.nn.ensemble import Ensemble
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.methods import (
    Run,
    draws_of,
    maker,
    method_of,
    network_of,
    networks_in,
    recipe_of,
    runs_of,
)
from trustworthy.studio.training.preparing import PARTS, Prepared, channels_of, prepare
from trustworthy.studio.training.saving import SavedModel, load_saved, save_model
from trustworthy.studio.training.task import Orders
from trustworthy.studio.training.watching import Watch, moved
from trustworthy.training import Checkpoints, Engine, load_weights
from trustworthy.uncertainty import Method

CHECKPOINTS, NOTES = "checkpoints", "notes.json"
PREPARED, TRAINED = 0.05, 0.9
"""Progress of the job when its images are prepared, and when the training is over."""


def train(orders: Orders, reporter: Reporter, device: torch.device) -> Path:
    """Train what the orders say, or finish what an earlier attempt has so far; the folder of the saved model.

    Everything that is random comes from `settings.seed`. Checkpoints of an earlier attempt that lie in the folder of
    this one are gone on from.

    Raises
    ------
    InvalidInput : the images, or a model to start from, do not fit the settings; nothing to finish with.
    TrainingDiverged, CheckpointError, DataError, DiskFull : see `training.fit` and `prepare`.
    """
    settings = orders.task.settings
    if settings is None:
        raise InvalidInput("settings of a training must be given, got none; submit the job again.")
    checkpoints = orders.folder / CHECKPOINTS
    channels = channels_of(settings, orders.task)
    network = network_of(settings, *map(len, channels))
    with _noted(checkpoints, reporter):
        images = prepare(
            orders,
            settings,
            lambda share, name: reporter.tell(PREPARED * share, stage=f"preparing the images, {name}"),
        )
        if orders.task.finish:
            trained = _so_far(settings, network, checkpoints)
        else:
            trained = _fitted(orders, settings, network, images, reporter, device)
    members = len(trained) if isinstance(trained, Ensemble) else draws_of(settings)
    folder = orders.folder / "result" / "model"
    first = orders.task.places[0]
    assert first.target is not None
    about = SavedModel(
        settings=settings,
        source=first.source.description,
        target=first.target.description,
        source_channels=channels[0],
        target_channels=channels[1],
        draws=members,
        stopped=_epochs(settings, checkpoints) if orders.task.finish else (),
        names={part: tuple(p.name for p in orders.task.places if p.part == part) for part in (*PARTS, "test")},
        seconds=_seconds(settings, checkpoints),
        notes=tuple(_notes(checkpoints)),
        versions=versions(),
    )
    model = images.translator.around(trained).cpu().eval()
    save_model(model, folder, recipe_of(settings, network, members), about)
    return folder


def _fitted(
    orders: Orders,
    settings: TrainingSettings,
    network: dict[str, Any],
    images: Prepared,
    reporter: Reporter,
    device: torch.device,
) -> nn.Module:
    checkpoints = orders.folder / CHECKPOINTS
    start: Sequence[nn.Module] = ()
    if settings.start_from is not None:
        start = networks_in(load_saved(orders.storage.model(settings.start_from)).model.net)

    def look(net: nn.Module) -> None:
        for said in moved(images.planes, images.translator, net):
            _note(checkpoints, reporter, said)

    watch = Watch(
        reporter,
        checkpoints,
        runs_of(settings),
        patience=settings.patience,
        begun=look,
        items=len(images.train),
        share=(PREPARED, TRAINED),
    )
    images.train.watch = watch.alive
    posterior = method_of(settings).fit(
        maker(network, start),
        images.train,
        validation=images.validation,
        checkpoints=Checkpoints(checkpoints),
        callbacks=[watch],
        engine=Engine.on(device),
        seed=settings.seed,
    )
    return posterior if isinstance(posterior, nn.Module) else posterior.model  # type: ignore[attr-defined]


def _so_far(settings: TrainingSettings, network: dict[str, Any], checkpoints: Path) -> nn.Module:
    """What an interrupted training has: each member with its best weights, or the newest, where it has any."""
    method = method_of(settings)
    found = [file for run in runs_of(settings) if run.judged and (file := _best(checkpoints / run.folder))]
    if settings.method == "snapshot":
        found = sorted(checkpoints.glob("snapshot-*.safetensors")) or found
    if not found:
        raise InvalidInput("the training was stopped before its first epoch was over, so there is nothing to keep.")
    networks = [_loaded(method, network, file) for file in found]
    return Ensemble(networks) if method.transforms and method.transforms[0][0] == "ensemble" else networks[0]


def _loaded(method: Method, network: dict[str, Any], file: Path) -> nn.Module:
    net = method.changed(UNet(**network))  # type: ignore[arg-type]
    load_weights(net, file)
    return net.eval()


def _best(folder: Path) -> Path | None:
    kept = Checkpoints(folder)
    if kept.best_path.is_file():
        return kept.best_path
    newest = kept.latest()
    return newest and newest.path


def _epochs(settings: TrainingSettings, checkpoints: Path) -> tuple[int, ...]:
    """Of each network that an interrupted training has begun, those that it has been trained for."""
    return tuple(len(records) for run, records in _records(settings, checkpoints) if run.judged)


def _seconds(settings: TrainingSettings, checkpoints: Path) -> float:
    """Of all training, without the time that an interrupted one stood still."""
    return sum(record["seconds"] for _, records in _records(settings, checkpoints) for record in records)


def _records(settings: TrainingSettings, checkpoints: Path) -> Iterator[tuple[Run, list[dict[str, Any]]]]:
    """Of each run that has been begun, what its last checkpoint knows of its epochs."""
    for run in runs_of(settings):
        if (latest := Checkpoints(checkpoints / run.folder).latest()) is not None:
            yield run, latest.state["records"]


@contextmanager
def _noted(checkpoints: Path, reporter: Reporter) -> Iterator[None]:
    """Warnings of the library become notes of the job, once it has got so far."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrustworthyWarning)
        yield
    for each in caught:
        if issubclass(each.category, TrustworthyWarning):
            _note(checkpoints, reporter, str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _notes(checkpoints: Path) -> list[str]:
    """Beside the checkpoints, so that the next attempt has them too."""
    file = checkpoints / NOTES
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def _note(checkpoints: Path, reporter: Reporter, said: str) -> None:
    known = _notes(checkpoints)
    if said in known:
        return
    with atomic_write(checkpoints / NOTES) as stream:
        json.dump([*known, said], stream)
    reporter.tell(note=said)
