"""What a trained method answers on the tests of a trial, and how good that is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput, warn
from trustworthy.core.predictive import Predictive, predict_in_chunks
from trustworthy.core.protocols import members_of
from trustworthy.core.seeds import torch_generator
from trustworthy.core.study import Arrays
from trustworthy.datasets.pairs import ImagePairs
from trustworthy.report.benchmark import scores
from trustworthy.report.benchmark.meaning import CLEAN, RISK
from trustworthy.report.benchmark.record import Scores
from trustworthy.report.benchmark.trials import ImageTrial, Rows, RowTrial, Tell, Trial, struck
from trustworthy.uncertainty.conformal import CalibratedMaps, calibrate_maps

PICTURES = 2
"""Fields of a test that the page shows."""
LEVEL = 0.9
"""Probability with which the conformal maps keep their promise, where there are enough images to calibrate on."""
AT_ONCE = 2**22
"""Numbers of inputs whose answers are held at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """Scores by test, pictures by `test/role`, seconds of the prediction of an image or row."""

    tests: dict[str, Scores]
    arrays: Arrays = field(default_factory=dict)
    seconds: float


@dataclass(eq=False, kw_only=True)
class _Asked:
    """A trained model that is asked about each test by the same random numbers, and what it took so far."""

    model: nn.Module
    draws: int
    batch_size: int
    device: torch.device
    seed: int
    rows: int = 0
    seconds: float = 0.0

    def __call__(self, x: np.ndarray, chunk: int) -> Iterator[Predictive]:
        images = torch.from_numpy(x.astype(np.float32))
        if not self.rows:
            list(self._answers(images[:1], 1))  # the first answer takes longer
        begun = time.perf_counter()
        yield from self._answers(images, chunk)
        self.seconds += time.perf_counter() - begun
        self.rows += len(x)

    def _answers(self, x: Tensor, chunk: int) -> Iterator[Predictive]:
        generator = torch_generator(self.seed, "judged", device=self.device)
        given = {"draws": self.draws, "batch_size": self.batch_size, "generator": generator, "device": self.device}
        return predict_in_chunks(self.model, x, chunk=chunk, **given)


def judge(
    trial: Trial, model: nn.Module, *, draws: int, batch_size: int, device: torch.device, seed: int, tell: Tell
) -> Judged:
    """Ask a model, in own units of `trial`, about all its tests.

    draws : of what draws anew; an ensemble answers with all its members.
    """
    ask = _Asked(
        model=model.to(device), draws=members_of(model) or draws, batch_size=batch_size, device=device, seed=seed
    )
    tests, arrays = _images(trial, ask, tell) if isinstance(trial, ImageTrial) else (_rows(trial, ask, tell), {})
    return Judged(tests=tests, arrays=arrays, seconds=ask.seconds / ask.rows)


def pictured(pairs: ImagePairs) -> np.ndarray:
    """Numbers of the fields of a test that the page shows: the first ones with something foreign, if there are any."""
    return np.argsort(~struck(pairs), kind="stable")[:PICTURES]


def _images(trial: ImageTrial, ask: _Asked, tell: Tell) -> tuple[dict[str, Scores], Arrays]:
    tests, arrays, calibrated = {}, {}, _calibrated(trial.calibration, ask)
    for place, (name, pairs) in enumerate(trial.tests.items(), 1):
        mean, std = _maps(pairs, ask)
        uncertainty = std.mean(axis=1)  # (n, height, width)
        parts = [scores.correlation(mean, pairs.target), scores.errors(mean, std, pairs.target)]
        if pairs.masks is not None and pairs.masks.any():
            parts.append(scores.detection(uncertainty, pairs.masks))
        elif calibrated is not None:
            bounds = calibrated(mean, std if calibrated.scaled else None)
            parts.append(scores.coverage(bounds.lower, bounds.upper, pairs.target))
        tests[name] = scores.joined(*parts)
        if name in trial.shown:
            shown = pictured(pairs)
            arrays |= {f"{name}/prediction": mean[shown], f"{name}/uncertainty": uncertainty[shown]}
        tell(place / len(trial.tests))
    return tests, arrays


def _maps(pairs: ImagePairs, ask: _Asked) -> tuple[scores.Images, scores.Images]:
    """Mean and standard deviation of the members, in units of the target; the members of a few images at a time."""
    chunk = max(1, AT_ONCE // pairs.source[0].size // ask.draws)
    answers = [(answer.mean.numpy(), answer.std.numpy()) for answer in ask(pairs.source, chunk)]
    mean, std = map(np.concatenate, zip(*answers, strict=True))
    return mean, std


def _calibrated(pairs: ImagePairs | None, ask: _Asked) -> CalibratedMaps | None:
    """Maps at `LEVEL`, or on average where that needs more images; without a spread, of one width everywhere."""
    if pairs is None:
        return None
    mean, std = _maps(pairs, ask)
    for level in (LEVEL, 0.0):
        try:
            return calibrate_maps(mean, pairs.target, std=std if std.any() else None, risk=RISK, level=level)
        except InvalidInput as error:
            why = error
    warn(f"no conformal maps: {why}")
    return None


def _rows(trial: RowTrial, ask: _Asked, tell: Tell) -> dict[str, Scores]:
    tests: dict[str, Scores] = {}
    own = _logits(trial.tests[CLEAN], ask)
    for place, (name, rows) in enumerate(trial.tests.items(), 1):
        members = own if name == CLEAN else _logits(rows, ask)
        if rows.y is None:
            tests[name] = scores.foreign_rows(own, members, trial.average)
        else:
            tests[name] = scores.classes(members, rows.y, trial.average)
        tell(place / len(trial.tests))
    return tests


def _logits(rows: Rows, ask: _Asked) -> np.ndarray:
    (answer,) = ask(rows.x, len(rows))
    return answer.members.numpy()
