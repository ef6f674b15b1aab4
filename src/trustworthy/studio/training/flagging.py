"""What the images that nothing was trained on teach about the size of errors, and what is not to be trusted by that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Num

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import Translator
from trustworthy.studio.training.predicting import Answer
from trustworthy.studio.values import Value
from trustworthy.studio.words import many
from trustworthy.uncertainty import handoff_threshold, review
from trustworthy.uncertainty.conformal import CalibratedMaps, Intervals, calibrate_maps

HOLDS = 0.9
"""Share of the pixels of the calibration images whose target lies within prediction plus or minus uncertainty."""
TOLERATED = 0.95
"""Share of their pixels whose error a chosen tolerance does not exceed."""
PIXELS = 2**14
"""Drawn of each image, as many of each: shares over them are, on average, those over the image."""
FLOORS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Sizes of noise that are tried, in deviations of the target."""
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MANY = 20
"""Validation images that a person with fewer is told of."""
HANDED, SURE = 0.1, 0.9
"""Share of unusable images that may pass for usable, and with which probability."""
ALIKE = "Every image is equally uncertain, so that only those that are unlike the images of the training are flagged."
Maps = Float[np.ndarray, "channels height width"]


class Drawn:
    """Pixels of one image: prediction, deviation of the members and target, in deviations of the target."""

    def __init__(
        self, answer: Answer, target: Iterable[Num[np.ndarray, "channels height width"]], model: Translator, seed: int
    ) -> None:
        rng, shape = np.random.default_rng(seed), answer.mean.shape
        numbers = int(np.prod(shape))
        chosen = np.sort(rng.choice(numbers, PIXELS, replace=numbers < PIXELS))
        plane, channel, *_ = places = np.unravel_index(chosen, shape)
        self.channel, size = channel, spreads(model)
        truth = [
            one.astype(np.float32)[tuple(at[plane == place] for at in places[1:])] for place, one in enumerate(target)
        ]
        self.mean, self.std = (values[places] / size[channel] for values in (answer.mean, answer.std))
        self.target = np.concatenate(truth) / size[channel]


def spreads(model: Translator) -> Float[np.ndarray, " channels"]:
    """Standard deviation of each channel of the target over the training set: what makes channels comparable."""
    return model.target.std.detach().cpu().numpy().astype(np.float32)


class Calibration(Value):
    """What a model knows of its own errors; it is saved with the model.

    images : that taught it. seen : they were trained on, as there were no others.
    factor, floor : uncertainty is factor * sqrt(deviation of the members^2 + floor^2), in deviations `sizes` of the
    channels of the target: members learn the same of noise that nobody can predict, and agree on it. varies : members
    deviate; else uncertainty is the same everywhere.
    promised : share of the pixels of a new image that lies within, on average; 0 for none.
    factors : (share of the calibration pixels, factor with which they lie within). tolerance : by channel.
    threshold : uncertainty of an image above which it is flagged. flagging : how both were chosen, in words.
    """

    images: int
    seen: bool
    varies: bool
    factor: float
    floor: float
    sizes: tuple[float, ...]
    promised: float
    factors: tuple[tuple[float, float], ...]
    tolerance: tuple[float, ...]
    threshold: float
    flagging: str

    def uncertainty(self, mean: Maps, std: Maps) -> Maps:
        """Half of the width of the interval of each pixel, in units of the target."""
        maps = CalibratedMaps(self.factor, level=0.0, scaled=True, risk=1.0 - HOLDS)
        size = np.asarray(self.sizes, np.float32)[:, None, None]
        if not self.varies:  # to the bit: a map of roundings would have a correlation with the error
            return np.full_like(mean, self.factor * self.floor) * size
        return maps.widths(mean / size, _noisy(std / size, self.floor))[1] * size

    def mask(self, uncertainty: Maps) -> Bool[np.ndarray, "height width"]:
        """Where any channel may be off by more than its tolerance."""
        pairs = zip(uncertainty, self.tolerance, strict=True)
        return np.any([review(_around_zero(one), tolerance).mask for one, tolerance in pairs], axis=0)

    def of_image(self, uncertainty: Iterable[Maps]) -> float:
        """Mean over the pixels of all planes, every channel counting alike, in units of the target."""
        sizes = np.asarray(self.sizes)
        each = [float((plane.mean((1, 2), dtype=np.float64) / sizes).mean()) for plane in uncertainty]
        return float(np.mean(each) * sizes.mean())

    def flags(self, uncertainty: float) -> bool:
        """Whether a person should look at an image; rounding alone flags none."""
        return uncertainty > self.threshold * (1 + 1e-5)

    def observed(self, samples: Sequence[Float[np.ndarray, "2 drawn"]]) -> tuple[tuple[float, float], ...]:
        """Of each level, the share of pixels of other images within; samples : uncertainty and error of each image."""
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = [np.nan_to_num(error / width, nan=0.0, posinf=np.inf) for width, error in samples]
        relative = [(level, factor / self.factor if self.factor else 1.0) for level, factor in self.factors]
        return tuple((level, float(np.mean([(one <= by).mean() for one in apart]))) for level, by in relative)


def _around_zero(width: Float[np.ndarray, "height width"]) -> Intervals:
    return Intervals.around(np.zeros_like(width), width, HOLDS)


def calibrate(drawn: Sequence[Drawn], model: Translator, tolerance: float | None, *, seen: bool) -> Calibration:
    """From what was drawn of each of the images, at least one.

    tolerance : for every channel, in its units; None to choose it. seen : the images were trained on.
    """
    n, sizes = len(drawn), spreads(model)
    mean, std, target = (np.stack([getattr(one, name) for one in drawn]) for name in ("mean", "std", "target"))
    error, varies = np.abs(target - mean), bool(std.any())
    floor = min(FLOORS, key=lambda floor: _nats(error, _noisy(std, floor))) if varies else FLOORS[-1]
    std = _noisy(std, floor)
    maps = _maps(mean, std, target)
    channel = np.stack([one.channel for one in drawn])
    chosen = [float(np.quantile(error[channel == c], TOLERATED)) * float(size) for c, size in enumerate(sizes)]
    tolerances = tuple(chosen) if tolerance is None else (tolerance,) * len(sizes)
    each = maps.factor * std.mean(1, dtype=np.float64) * float(sizes.mean())
    wrong = (error > (np.asarray(tolerances) / sizes)[channel]).mean(1) > 1.0 - HOLDS
    threshold, rule = _threshold(each, wrong, seen)
    flagging = f"{_chosen(tolerance, n, seen)} {rule if varies else ALIKE}"
    return Calibration(
        images=n, seen=seen, varies=varies, factor=maps.factor, floor=floor, sizes=tuple(map(float, sizes)),
        promised=0.0 if seen else 1.0 - maps.risk,
        factors=tuple((level, float(np.quantile(error / std, level))) for level in LEVELS),
        tolerance=tolerances, threshold=threshold, flagging=flagging,
    )  # fmt: skip


def _maps(mean: np.ndarray, std: np.ndarray, target: np.ndarray) -> CalibratedMaps:
    """Those that hold `HOLDS` of the pixels of the calibration images: of a new one, on average, what n images allow.

    Conformal risk control at the risk (n (1 - HOLDS) + 1) / (n + 1), which is not 1 - HOLDS but what a measured risk of
    that is good for.
    """
    risk = (len(mean) * (1.0 - HOLDS) + 1.0) / (len(mean) + 1.0)
    return calibrate_maps(mean, target, std=std, risk=risk, level=0)


def _noisy(std: Num[np.ndarray, "*shape"], floor: float) -> Num[np.ndarray, "*shape"]:
    return np.hypot(std, np.float32(floor))


def _nats(error: Num[np.ndarray, "n drawn"], size: Num[np.ndarray, "n drawn"]) -> float:
    """Mean negative log likelihood of errors whose distribution is that of Laplace, of sizes in proportion to these."""
    return float(np.log(size).mean() + np.log(max((error / size).mean(), np.finfo(np.float32).tiny)))


def _threshold(uncertainty: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], seen: bool) -> tuple[float, str]:
    """Uncertainty of an image above which a person gets it, and the rule in words."""
    highest, images = float(uncertainty.max()), _images(len(uncertainty), seen)
    chance = (
        "as models are surer of these, that happens to many"
        if seen
        else f"of images like them that happens to one in {len(uncertainty) + 1} by chance"
    )
    rule = f"An image is flagged where it is more uncertain on average than each of the {images}; {chance}."
    if seen:
        return highest, rule
    try:
        found = handoff_threshold(-uncertainty, wrong, risk=HANDED, level=SURE)
    except InvalidInput:  # too few images
        return highest, rule
    if not -np.inf < found.threshold < np.inf or -found.threshold >= highest:
        return highest, rule
    return -float(found.threshold), (
        f"An image is flagged above an uncertainty below which, as the {images} show with probability {SURE:.0%}, "
        f"at most {HANDED:.0%} of the images are off by more than the tolerance at more than {1 - HOLDS:.0%} of their "
        "pixels."
    )


def _chosen(tolerance: float | None, n: int, seen: bool) -> str:
    if tolerance is not None:
        return "A pixel is masked where its uncertainty exceeds the tolerance that was set."
    return (
        "A pixel is masked where its uncertainty exceeds the tolerance: the error that "
        f"{1 - TOLERATED:.0%} of the pixels of the {_images(n, seen)} exceed."
    )


def _images(n: int, seen: bool) -> str:
    return many(n, f"{'training' if seen else 'validation'} image")


def promise(calibration: Calibration) -> str:
    """What is guaranteed of the uncertainty of a new image, in words."""
    of = _images(calibration.images, calibration.seen)
    measured = f"Measured: at {HOLDS:.0%} of the pixels of the {of} the target lies within prediction ± uncertainty."
    if calibration.seen:
        return (
            f"{measured} Promised: nothing, as there were no validation images, and errors on images that were trained "
            "on are smaller than on others. Add pairs, and leave some for validation."
        )
    count, more = calibration.images, _at_least(MANY * HOLDS / (MANY + 1))
    few = f" {count} image{'s are' if count > 1 else ' is'} few: {MANY} would promise {more}." if count < MANY else ""
    return (
        f"{measured} Promised: at {_at_least(calibration.promised)} of the pixels of a new image, on average over such "
        f"calibrations, if it is like them.{few} The validation images chose the epochs too, so read the promise as "
        "slightly hopeful, and look at the coverage of the test images."
    )


def _at_least(share: float) -> str:
    """In per cent, never rounded up."""
    return f"{math.floor(100 * share + 1e-9)}%"


def meaning(calibration: Calibration) -> str:
    """What the map of uncertainty shows, in words."""
    if calibration.varies:
        noise = ", ".join(f"{calibration.floor * size:.3g}" for size in calibration.sizes)
        return (
            "Half of the width of the interval in which the target is expected, in its units: large where the members "
            f"disagree. It is {calibration.factor:.3g} times their deviation from each other, joined with noise of "
            f"{noise} that is there where they agree."
        )
    return (
        "The error that the prediction may have, in units of the target. It is the same everywhere, as the model gives "
        "one answer, which cannot disagree with itself: the map does not tell where it is wrong. Train 5 members for a "
        "map that does."
    )
