"""What a trained method answers on the tests of a trial, and how good that is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from trustworthy.core.errors import InvalidInput, warn
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import members_of
from trustworthy.core.seeds import torch_generator
from trustworthy.core.study import Arrays
from trustworthy.datasets.pairs import ImagePairs
from trustworthy.report.benchmark import scores
from trustworthy.report.benchmark.meaning import CLEAN, RISK
from trustworthy.report.benchmark.record import Scores
from trustworthy.report.benchmark.trials import ImageTrial, Rows, RowTrial, Tell, Trial
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """A trained model that is asked about the tests, always by the same random numbers.

    model : in own units of the trial. draws : members of an ensemble, or draws of anything else.
    """

    model: nn.Module
    draws: int
    device: torch.device
    seed: int

    def __call__(self, x: Tensor, batch_size: int) -> Predictive:
        generator = torch_generator(self.seed, "judged", device=self.device)
        given = {"draws": self.draws, "generator": generator, "device": self.device}
        return predict(self.model, x, batch_size=batch_size, **given)


def judge(
    trial: Trial, model: nn.Module, *, draws: int, batch_size: int, device: torch.device, seed: int, tell: Tell
) -> Judged:
    """Ask a model, in own units of `trial`, about all its tests.

    draws : of what draws anew; an ensemble answers with all its members.
    """
    asked = Asked(model=model.to(device), draws=members_of(model) or draws, device=device, seed=seed)
    return _images(trial, asked, batch_size, tell) if isinstance(trial, ImageTrial) else _rows(trial, asked, tell)


@dataclass(frozen=True, eq=False)
class _Maps:
    """Mean and standard deviation of the members at each pixel (n, channels, height, width), in units of the target."""

    mean: np.ndarray
    std: np.ndarray

    @property
    def uncertainty(self) -> np.ndarray:
        """Of each pixel (n, height, width): the mean over the channels."""
        return self.std.mean(axis=1)


def _calibrated(maps: _Maps, target: np.ndarray) -> CalibratedMaps | None:
    """Maps at `LEVEL`, or on average where that needs more images; without a spread, of one width everywhere."""
    std = maps.std if maps.std.any() else None
    for level in (LEVEL, 0.0):
        try:
            return calibrate_maps(maps.mean, target, std=std, risk=RISK, level=level)
        except InvalidInput as error:
            why = error
    warn(f"no conformal maps: {why}")
    return None


def _images(trial: ImageTrial, asked: Asked, batch_size: int, tell: Tell) -> Judged:
    seconds, tests, arrays, calibrated = 0.0, {}, {}, None
    _maps(next(iter(trial.tests.values())).source[:1], asked, batch_size)  # the first answer takes longer
    if trial.calibration is not None:
        calibrated = _calibrated(_maps(trial.calibration.source, asked, batch_size), trial.calibration.target)
    for place, (name, pairs) in enumerate(trial.tests.items(), 1):
        begun = time.perf_counter()
        maps = _maps(pairs.source, asked, batch_size)
        seconds += time.perf_counter() - begun
        parts = [scores.correlation(maps.mean, pairs.target), scores.errors(maps.mean, maps.std, pairs.target)]
        if pairs.masks is not None and pairs.masks.any():
            parts.append(scores.detection(maps.uncertainty, pairs.masks))
        elif calibrated is not None:
            bounds = calibrated(maps.mean, maps.std if calibrated.scaled else None)
            parts.append(scores.coverage(bounds.lower, bounds.upper, pairs.target))
        tests[name] = scores.joined(*parts)
        if name in trial.shown:
            shown = pictured(pairs)
            arrays[f"{name}/prediction"], arrays[f"{name}/uncertainty"] = maps.mean[shown], maps.uncertainty[shown]
        tell(place / len(trial.tests))
    asked_about = sum(map(len, trial.tests.values()))
    return Judged(tests=tests, arrays=arrays, seconds=seconds / asked_about)


def pictured(pairs: ImagePairs) -> np.ndarray:
    """Numbers of the fields of a test that the page shows: the first ones with something foreign, if there are any."""
    struck = np.ones(len(pairs), dtype=bool) if pairs.masks is None else pairs.masks.any(axis=(1, 2))
    return np.argsort(~struck, kind="stable")[:PICTURES]


def _maps(source: np.ndarray, asked: Asked, batch_size: int) -> _Maps:
    """Of a few images at a time, as the members of many do not fit into memory."""
    at_once = max(1, AT_ONCE // source[0].size // asked.draws)
    means, stds = [], []
    for start in range(0, len(source), at_once):
        x = torch.from_numpy(source[start : start + at_once].astype(np.float32))
        answer = asked(x, batch_size)
        means.append(answer.mean.cpu().numpy())
        stds.append(answer.std.cpu().numpy())
    return _Maps(np.concatenate(means), np.concatenate(stds))


def _rows(trial: RowTrial, asked: Asked, tell: Tell) -> Judged:
    tests: dict[str, Scores] = {}
    asked(torch.from_numpy(trial.tests[CLEAN].x[:1]), batch_size=1)  # the first answer takes longer
    begun = time.perf_counter()
    own = _logits(trial.tests[CLEAN], asked)
    seconds = (time.perf_counter() - begun) / own.shape[1]
    for place, (name, rows) in enumerate(trial.tests.items(), 1):
        members = own if name == CLEAN else _logits(rows, asked)
        if rows.y is None:
            tests[name] = scores.foreign_rows(own, members, trial.average)
        else:
            tests[name] = scores.classes(members, rows.y, trial.average)
        tell(place / len(trial.tests))
    return Judged(tests=tests, seconds=seconds)


def _logits(rows: Rows, asked: Asked) -> np.ndarray:
    return asked(torch.from_numpy(rows.x), batch_size=256).members.cpu().numpy()
