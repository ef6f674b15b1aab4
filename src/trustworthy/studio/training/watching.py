"""What is seen of a training while it runs: how far it is, its curves, when to stop, and pairs that do not lie on each
other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.core.predictive import predict
from trustworthy.core.seeds import torch_generator
from trustworthy.nn import Translator
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.pairs.registration import Shift, middle, shift
from trustworthy.studio.training.methods import Run
from trustworthy.studio.training.preparing import Plane
from trustworthy.training import History

SCORE = "log_likelihood"
LEVEL = math.log(2)
"""Of the nats of `Laplace(average=True)`, what is left where every pixel is right."""
SECONDS = 5.0
"""Between two signs of life within an epoch."""
BEGUN = 0.1
"""Share of the epochs after which a first network has learned enough to show which pairs are moved."""
LIKE = 0.5
"""Correlation of a target with what is drawn of it from which on the network is worth asking."""
LOOKED, WINDOW = 12, 512
"""Pairs that are looked at, and the side in pixels of what is looked at, the middle of a plane."""


class Watch:
    """A callback of `training.fit`.

    The runs of a method follow each other, and each makes the folder of its checkpoints when it begins: the run that
    calls is the last one that has a folder, also where those before it were finished by an earlier attempt.

    Parameters
    ----------
    checkpoints : folder of the method's. runs : of it. share : of the job's progress, where training begins and ends.
    patience : epochs without a better score after which a run ends; 0 for never.
    begun : called once with the network, when the first run has learned something.
    items : windows that are read in an epoch of training.
    """

    def __init__(
        self,
        reporter: Reporter,
        checkpoints: Path,
        runs: Sequence[Run],
        *,
        patience: int,
        begun: Callable[[nn.Module], object],
        items: int,
        share: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._reporter, self._checkpoints, self._runs = reporter, checkpoints, runs
        self._patience, self._begun, self._items, self._share = patience, begun, items, share
        self._epochs, self._read, self._told = 0.0, 0, time.monotonic()

    def __call__(self, model: nn.Module, history: History) -> bool:
        number = max(k for k, run in enumerate(self._runs) if (self._checkpoints / run.folder).is_dir())
        run, records = self._runs[number], history.records
        self._epochs, self._read = sum(each.epochs for each in self._runs[:number]) + len(records), 0
        stop = self._enough(history)
        left = sum(each.epochs for each in self._runs[number + 1 :]) + (0 if stop else run.epochs - len(records))
        seconds = sum(record.seconds for record in records) / len(records)
        news = {"curve": _point(run, history)} if run.judged else {}
        self._tell(stage=self._stage(run, len(records)), seconds_left=left * seconds, **news)
        if number == 0 and len(records) == min(run.epochs, max(2, math.ceil(BEGUN * run.epochs))):
            self._begun(model)
        return stop

    def alive(self) -> None:
        """A window was read: within an epoch that takes long, say so now and then."""
        self._read += 1
        if time.monotonic() - self._told > SECONDS:
            self._tell()

    def _tell(self, **news: object) -> None:
        self._told = time.monotonic()
        first, last = self._share
        within = min(1.0, self._read / self._items)
        done = (self._epochs + within) / sum(run.epochs for run in self._runs)
        self._reporter.tell(first + (last - first) * min(1.0, done), **news)

    def _enough(self, history: History) -> bool:
        return bool(self._patience and history.best and len(history.records) - history.best.epoch >= self._patience)

    def _stage(self, run: Run, epoch: int) -> str:
        members = self._runs[-1].member
        return f"training{f' network {run.member} of {members}' if members > 1 else ''}, epoch {epoch} of {run.epochs}"


def _point(run: Run, history: History) -> dict[str, float | None]:
    """Of the curves: mean absolute errors, in standard deviations of the target."""
    record = history.records[-1]
    score = record.metrics.get(SCORE)
    return {
        "member": run.member,
        "epoch": record.epoch,
        "loss": record.loss - LEVEL,
        "validation": None if score is None else -score - LEVEL,
    }


def moved(planes: Sequence[Plane], translator: Translator, network: nn.Module) -> list[str]:
    """A sentence for each pair whose target does not lie where `network` draws it; some pairs, spread over all.

    network : of normalised images, on any device.
    """
    device = next(network.parameters()).device
    told: dict[str, str] = {}
    for plane in planes[:: math.ceil(len(planes) / LOOKED)]:
        source, target = _middle(plane.source), _middle(plane.target)
        x = translator.source(source[None]).to(device)
        answer = predict(network, x, generator=torch_generator(0, "moved", device=device)).mean[0].cpu().numpy()
        for channel, drawn in enumerate(answer):
            found = shift(drawn, target[channel].numpy())
            if plane.name not in told and found.found and _draws(drawn, target[channel].numpy(), found):
                down, right = "below" if found.dy > 0 else "above", "right" if found.dx > 0 else "left"
                told[plane.name] = (
                    f"The target of {plane.name!r} lies {abs(found.dy):.0f} px {down} and {abs(found.dx):.0f} px to "
                    f"the {right} of where the network draws it; look at this pair, and align it or leave it out."
                )
    return list(told.values())


def _draws(drawn: np.ndarray, target: np.ndarray, found: Shift) -> bool:
    """Whether the target is what is drawn, once it is moved back: a network that has hardly begun draws something."""
    back = np.roll(target, (-round(found.dy), -round(found.dx)), (0, 1))
    return bool(np.corrcoef(drawn.ravel(), back.ravel())[0, 1] > LIKE)


def _middle(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(image[:, *middle(image.shape[1:], WINDOW)]))
