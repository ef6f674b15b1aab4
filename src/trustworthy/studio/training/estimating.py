"""What a training will take, before it is begun: a few steps of the same network on random numbers are timed here."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

import torch
from torch import Tensor

from trustworthy.core.predictive import NUMBERS, predict
from trustworthy.core.seeds import torch_generator
from trustworthy.nn import UNet
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.devices import device_of
from trustworthy.studio.training.methods import draws_of, method_of, network_of, runs_of
from trustworthy.studio.training.preparing import JUDGED, bytes_of, patches_in, pixels_of
from trustworthy.training import Engine, fit

STEPS = 4
"""Steps that are timed, the first in vain; the quickest counts."""
AT_ONCE = {"cpu": 2**17, "": 2**24}
"""Pixels of a batch, for a network of width 16, up to which it is measured as it is; larger ones by a share of them."""
START_SECONDS, START_BYTES = 7.0, 5 * 10**8
"""Of a process that has read its programs and nothing else; seconds include the end."""
PIXEL_SECONDS, EPOCH_SECONDS = 3e-7, 0.1
"""To read and to judge a pixel, whatever the network, and to keep a checkpoint of a small one (one x86 CPU)."""
RESULT_BYTES = 18
"""Of a pixel and channel that are shown in the result, with what is written on the way."""
ANSWERED = 0.6
"""Bytes of an answer, as a share of those that a step of training holds."""
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Estimate:
    """Of a whole job: seconds, bytes of memory at most (of the GPU, where it computes), bytes of disk at most.

    patches : in an epoch. steps : of all runs.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int
    patches: int
    steps: int


@dataclass(frozen=True)
class Speed:
    """Of one network on one device, for each pixel of a batch.

    step, answer : seconds of training, and of one answer. held : bytes of training beside the weights.
    """

    step: float
    answer: float
    held: float
    weights: int


def estimate(
    settings: TrainingSettings,
    sources: Sequence[Description],
    parts: Sequence[str],
    device: str = "auto",
    threads: int | None = None,
) -> Estimate:
    """What a training with these settings takes, within a factor of two where nothing else keeps the computer busy.

    The first call for a network measures for a few seconds; what it found is kept as long as the process lives.

    Parameters
    ----------
    sources : of all pairs. parts : "train", "validation" or "test" of each. device, threads : as in the orders of jobs.

    Cost: 4 steps of training on up to `AT_ONCE` pixels.
    """
    of = {name: [d for d, part in zip(sources, parts, strict=True) if part == name] for name in set(parts)}
    inputs = len(settings.source_channels) or max((source.channels for source in sources), default=1)
    channels = inputs, len(settings.target_channels) or 1
    kind = device_of(device.partition(":")[0])  # this process is not the job's, and does not bind itself to one GPU
    threads = threads or max(1, (os.cpu_count() or 1) // 2)
    with _ONE_AT_A_TIME:
        speed = _speed(_known(settings), *channels, kind, threads)  # type: ignore[arg-type]  # what is frozen has a hash
    patches = sum(patches_in(each, settings.patch) for each in of.get("train", []))
    judged = sum(patches_in(each, settings.patch) for each in of.get("validation", [])) * settings.patch**2
    shown = pixels_of(of.get("validation", [])) + pixels_of(of.get("test", []))
    prepared = of.get("train", []) + of.get("validation", [])
    epochs = sum(run.epochs for run in runs_of(settings))
    steps = epochs * math.ceil(patches / settings.batch_size)
    asked = draws_of(settings) * shown + min(judged, JUDGED) * epochs * method_of(settings).draws
    return Estimate(
        seconds=START_SECONDS
        + speed.step * epochs * patches * settings.patch**2
        + speed.answer * asked
        + PIXEL_SECONDS * (pixels_of(sources) + shown)
        + EPOCH_SECONDS * epochs,
        memory_bytes=round(_memory(settings, speed, patches, min(judged, JUDGED))),
        disk_bytes=_disk(settings, speed.weights, bytes_of(prepared, sum(channels)), sum(channels) * shown),
        patches=patches,
        steps=steps,
    )


def _disk(settings: TrainingSettings, weights: int, planes: int, shown: int) -> int:
    """Checkpoints to the end, and beside them first the planes, later the model and the result."""
    runs = runs_of(settings)
    checkpoints = sum(3 * min(run.epochs, 2) + run.judged for run in runs)  # two, with two moments of each weight
    model = 1 if settings.method in ("mc-dropout", "batch") else settings.members
    snapshots = settings.members if settings.method == "snapshot" else 0
    return weights * (checkpoints + snapshots) + max(planes, weights * model + RESULT_BYTES * shown)


def _memory(settings: TrainingSettings, speed: Speed, patches: int, judged: int) -> float:
    """Of the largest of a step, the judgement of an epoch, and what a FastEnsemble asks its seed at once."""
    trained = settings.batch_size * settings.patch**2
    asked = max(judged, min(NUMBERS, round(patches * (1.5 * settings.patch) ** 2)) if settings.method == "fast" else 0)
    return START_BYTES + speed.weights * (10 + settings.members) + speed.held * max(trained, ANSWERED * asked)


def _known(settings: TrainingSettings) -> TrainingSettings:
    """With nothing in it that does not change how long a step takes, so that it is measured once."""
    names = ("method", "batch_size", "patch", "width", "depth")
    members = settings.members if settings.method == "batch" else 2
    return TrainingSettings(**{name: getattr(settings, name) for name in names}, members=members)


@functools.lru_cache(maxsize=256)
def _speed(settings: TrainingSettings, inputs: int, outputs: int, device: torch.device, threads: int) -> Speed:
    method, before = method_of(settings), torch.get_num_threads()
    batch, patch = _reduced(settings, device)
    # On a CPU what other programs take is not counted.
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            network = UNet(**network_of(settings, inputs, outputs))
            model = method.changed(network).to(device)
            x, y = (torch.randn(batch, channels, patch, patch) for channels in (inputs, outputs))
            held = _held(model, x.to(device))
        steps: list[float] = []
        fit(
            model, (x, y), epochs=STEPS, loss=method.objective, batch_size=batch, metrics={}, engine=Engine.on(device),
            callbacks=[lambda model, history: steps.append(clock())],
        )  # fmt: skip
        begun = clock()
        predict(model, x, draws=1, device=device, generator=torch_generator(0, "estimate", device=device))
        answer = clock() - begun
    finally:
        torch.set_num_threads(before)
    pixels, weights = x[:, 0].numel(), 4 * sum(weight.numel() for weight in network.parameters())
    step = min(later - earlier for earlier, later in pairwise(steps))
    return Speed(step / pixels, answer / pixels, held / pixels, weights)


def _reduced(settings: TrainingSettings, device: torch.device) -> tuple[int, int]:
    """Batch and patch that are measured."""
    most = AT_ONCE.get(device.type, AT_ONCE[""]) * 16 / settings.width
    patch = settings.patch
    while patch**2 > most and patch > 64:
        patch //= 2
    return max(1, min(settings.batch_size, int(most) // patch**2)), patch


def _held(model: torch.nn.Module, x: Tensor) -> int:
    """Bytes that a step keeps for its gradients."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        answers = model.train()(x)
    del answers
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    return sum(size for place, size in kept.items() if place not in weights)
