"""How good a prediction is, summed up over bands of rows, so that an image on the disk stays there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np
from jaxtyping import Float, Num
from torch import Tensor

from trustworthy import metrics
from trustworthy.metrics.image import WINDOW
from trustworthy.nn import Translator
from trustworthy.studio.training.record import METRICS

Plane = Num[np.ndarray, "channels height width"]
Values = dict[str, float | None]
BAND = 2**21
"""Numbers that are looked at in one go."""
PIXELS = 2**17
"""Numbers of an image that are drawn for what needs ranks or shares of shares."""
_HALO = WINDOW // 2


class Score:
    """Metrics of one image, to which planes are added one by one.

    low, high : lowest and highest number of its target; their distance is the range of PSNR and SSIM.
    numbers : of the whole image, over all planes and channels. rng : draws the pixels that are kept.
    sample : (2, drawn) of the pixels drawn, uncertainty and error, where an uncertainty was given.
    """

    def __init__(self, low: float, high: float, numbers: int, rng: np.random.Generator) -> None:
        self._range, self._numbers, self._rng = high - low, numbers, rng
        self._n, self._mean, self._products = 0, np.zeros(2), np.zeros((2, 2))
        self._squares = self._distance = self._similar = self._windows = self._inside = 0.0
        self._ends = np.array([[np.inf, -np.inf]] * 2)
        self._drawn: list[np.ndarray] = []

    def add(self, predicted: Callable[[slice], Plane], target: Plane, uncertainty: Plane | None = None) -> None:
        """A plane; a pixel lies in its interval where it is at most the uncertainty away.

        predicted : gives rows of the prediction.
        """
        for rows, seen in bands(target.shape):
            a, b = (np.asarray(image, np.float64) for image in (predicted(rows), target[:, rows]))
            error = np.abs(a - b)
            self._correlate(a.ravel(), b.ravel())
            self._squares += float((error**2).sum())
            self._distance += float(error.sum())
            if self._range > 0 and min(target.shape[1:]) >= WINDOW:
                self._compare(predicted(seen), target[:, seen])
            if uncertainty is not None:
                width = np.asarray(uncertainty[:, rows], np.float64)
                self._inside += int((error <= width).sum())
                self._draw(width.ravel(), error.ravel())

    @property
    def sample(self) -> Float[np.ndarray, "2 drawn"]:
        return np.concatenate(self._drawn, axis=1) if self._drawn else np.zeros((2, 0))

    def values(self) -> Values:
        """By name of `METRICS`; None where it is undefined, without what needs an uncertainty where none was given."""
        square = self._squares / self._n
        found: Values = {
            "pearson": self._pearson(),
            "psnr": 10 * float(np.log10(self._range**2 / square)) if self._range > 0 and square > 0 else None,
            "ssim": self._similar / self._windows if self._windows else None,
            "mae": self._distance / self._n,
        }
        if self._drawn:
            width, error = self.sample
            known = width.min() < width.max() and error.min() < error.max()
            found["uncertainty_correlation"] = metrics.error_uncertainty_correlation(width, error) if known else None
            found["coverage"] = self._inside / self._n
        return found

    def _correlate(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add to the sums of squares about the mean (Chan, Golub and LeVeque 1983)."""
        for ends, values in zip(self._ends, (a, b), strict=True):
            ends[:] = min(ends[0], values.min()), max(ends[1], values.max())
        mean, n = np.array([a.mean(), b.mean()]), a.size
        a, b = a - mean[0], b - mean[1]
        apart, total = mean - self._mean, self._n + n
        self._products += np.array([[a @ a, a @ b], [a @ b, b @ b]])
        self._products += np.outer(apart, apart) * (self._n * n / total)
        self._mean += apart * (n / total)
        self._n = total

    def _pearson(self) -> float | None:
        if (self._ends[:, 0] == self._ends[:, 1]).any():
            return None
        (aa, ab), (_, bb) = self._products
        return float(np.clip(ab / np.sqrt(aa * bb), -1.0, 1.0))

    def _compare(self, prediction: Plane, target: Plane) -> None:
        """Windows do not leave the band, and bands overlap by a window, so that each is counted once."""
        height, width = (side - 2 * _HALO for side in target.shape[1:])
        if height > 0:
            found = metrics.ssim(prediction, target, data_range=self._range)
            self._similar += float(found) * height * width
            self._windows += height * width

    def _draw(self, width: np.ndarray, error: np.ndarray) -> None:
        share = PIXELS / self._numbers
        kept = slice(None) if share >= 1 else self._rng.choice(width.size, max(1, round(share * width.size)), False)
        self._drawn.append(np.stack((width[kept], error[kept])))


def bands(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Rows of a plane, in their order and each once, and the same with the neighbours that a window of SSIM sees."""
    channels, height, width = shape
    many = max(4 * WINDOW, BAND // (channels * width))
    for top in range(0, height, many):
        bottom = min(top + many, height)
        yield slice(top, bottom), slice(max(0, top - _HALO), min(height, bottom + _HALO))


def identity(source: Plane, model: Translator) -> Float[np.ndarray, "target_channels height width"]:
    """The source itself as a prediction, brought to mean and spread of the target, each over the training set.

    Channels belong to each other in their order where there are as many, else the target's each get their mean.
    """
    normalised = (source.astype(np.float32) - _numbers(model.source.mean)) / _numbers(model.source.std)
    mean, std = _numbers(model.target.mean), _numbers(model.target.std)
    return (normalised if len(normalised) == len(mean) else normalised.mean(0, keepdims=True)) * std + mean


def constant(source: Plane, model: Translator) -> Float[np.ndarray, "target_channels height width"]:
    """The mean of the target over the training set as a prediction, everywhere."""
    mean = _numbers(model.target.mean)
    return np.broadcast_to(mean, (len(mean), *source.shape[1:]))


BASELINES = {"identity": identity, "mean": constant}
"""Predictions that need no network: `baseline(source, model)`."""


def ends(planes: Iterable[Plane]) -> tuple[float, float]:
    """Lowest and highest number."""
    found = [(float(plane.min()), float(plane.max())) for plane in planes]
    return min(low for low, _ in found), max(high for _, high in found)


def averaged(each: Sequence[Mapping[str, float | None]]) -> Values:
    """Means over images, of each metric over those in which it is defined; None where it is in none."""
    defined = {name: [number for values in each if (number := values.get(name)) is not None] for name in METRICS}
    given = [name for name in METRICS if any(name in values for values in each)]
    return {name: fmean(defined[name]) if defined[name] else None for name in given}


def _numbers(values: Tensor) -> Float[np.ndarray, "channels 1 1"]:
    return values.detach().cpu().numpy().astype(np.float32)[:, None, None]
