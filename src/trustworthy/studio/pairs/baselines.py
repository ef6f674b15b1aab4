"""What predictions reach that need no network: the source itself, and the mean of the targets."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from jaxtyping import Float, Num

from trustworthy.studio.values import Value

Values = dict[str, float | None]
Matrix = Float[np.ndarray, "outputs channels"]


class Moments(Value):
    """All of a pair that a baseline is judged by, so that another split needs no second look at the pixels.

    mean, covariance : of the channels of the source, followed by those of the target. sources : number of the first.
    low, high : lowest and highest number of the target.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    sources: int
    pixels: int
    low: float
    high: float


def moments(source: Num[np.ndarray, "channels pixels"], target: Num[np.ndarray, "outputs pixels"]) -> Moments:
    """Of the pixels of a pair."""
    both = np.concatenate((source, target)).astype(np.float64)
    return Moments(
        mean=tuple(both.mean(1)),
        covariance=tuple(map(tuple, np.atleast_2d(np.cov(both, bias=True)))),
        sources=len(source),
        pixels=both.shape[1],
        low=float(target.min()),
        high=float(target.max()),
    )


def baselines(train: Sequence[Moments], held: Sequence[Moments]) -> dict[str, Values]:
    """Pearson correlation and PSNR of "identity" and "mean", means over the held-out pairs; empty where there are none.

    identity : the source, brought to mean and standard deviation of the target, by channel, over the training pairs.
        Channels belong to each other in their order where there are as many, else the target's each get their mean.
    mean : the mean of the target over the training pairs, everywhere; a correlation with it is undefined.
    The range of PSNR is that of each target. Pearson is of all channels together.
    """
    if not train or not held or len({(len(each.mean), each.sources) for each in (*train, *held)}) > 1:
        return {}
    mean, std = _together(train)
    sources = train[0].sources
    outputs = len(mean) - sources
    chosen = np.eye(sources) if sources == outputs else np.full((outputs, sources), 1 / sources)
    slope = std[sources:, None] * chosen / std[:sources]
    rules = {
        "identity": (slope, mean[sources:] - slope @ mean[:sources]),
        "mean": (np.zeros((outputs, sources)), mean[sources:]),
    }
    found: dict[str, Values] = {}
    for name, rule in rules.items():
        scores = [_scores(each, *rule) for each in held]
        found[name] = {metric: _mean([score[metric] for score in scores]) for metric in ("pearson", "psnr")}
    return found


def _together(train: Sequence[Moments]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over several pairs; 1 for one that never varies."""
    weights = np.array([each.pixels for each in train], float)
    means = np.array([each.mean for each in train])
    squares = np.array([np.diag(each.covariance) for each in train]) + means**2
    mean = np.average(means, axis=0, weights=weights)
    variance = np.maximum(np.average(squares, axis=0, weights=weights) - mean**2, 0)
    return mean, np.where(variance > 0, np.sqrt(variance), 1.0)


def _scores(pair: Moments, slope: Matrix, offset: Float[np.ndarray, " outputs"]) -> Values:
    """Of the prediction slope @ source + offset."""
    mean, covariance, sources = np.array(pair.mean), np.array(pair.covariance), pair.sources
    predicted, real = slope @ mean[:sources] + offset, mean[sources:]
    spread = np.einsum("os,st,ot->o", slope, covariance[:sources, :sources], slope)
    common = np.einsum("os,so->o", slope, covariance[:sources, sources:])
    real_spread = np.diag(covariance)[sources:]
    square = float(np.mean((predicted - real) ** 2 + spread + real_spread - 2 * common))
    varies = spread.mean() + predicted.var(), real_spread.mean() + real.var()
    together = common.mean() + np.mean((predicted - predicted.mean()) * (real - real.mean()))
    known = min(varies) > 0 and spread.any()
    width = pair.high - pair.low
    return {
        "pearson": float(together / np.sqrt(varies[0] * varies[1])) if known else None,
        "psnr": 10 * float(np.log10(width**2 / square)) if width > 0 and square > 0 else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
