"""Images through a model, one after the other: their maps, pictures and numbers, written as they are published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from trustworthy.core.files import atomic_write
from trustworthy.core.seeds import derived_seed
from trustworthy.studio.images.preview import preview
from trustworthy.studio.images.reading import OpenImage, open_image
from trustworthy.studio.images.writing import write_image
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.training import packing
from trustworthy.studio.training.flagging import Calibration, Drawn, calibrate
from trustworthy.studio.training.predicting import Answer, Asking, like, scratch_array, selected, single_channel
from trustworthy.studio.training.record import ROLES, ImageResult
from trustworthy.studio.training.saving import Saved
from trustworthy.studio.training.scoring import BASELINES, Score, bands, ends
from trustworthy.studio.training.task import Orders, Place

RESULT, SCRATCH = "result", "scratch"
SIDE = 2048
"""Pixels of the longer side of a preview at most."""
TOLD = 5
"""Sentences on how an image differs from those of the training, at most."""
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Opened:
    """A pair of images that are read plane by plane, in the channels that a model takes and gives."""

    source: OpenImage
    target: OpenImage | None
    channels: tuple[tuple[int, ...], tuple[int, ...]]

    def sources(self) -> Iterator[Num[np.ndarray, "channels height width"]]:
        for place in range(self.source.description.planes):
            yield selected(self.source.plane(place), self.channels[0])

    def targets(self) -> Iterator[Num[np.ndarray, "channels height width"]]:
        if self.target is not None:
            for place in range(self.target.description.planes):
                yield selected(self.target.plane(place), self.channels[1])


class Work:
    """Images through a model, one after the other, with the progress of the job from `share[0]` to `share[1]`."""

    def __init__(
        self, orders: Orders, saved: Saved, reporter: Reporter, share: tuple[float, float], count: int
    ) -> None:
        self.orders, self.saved, self.reporter, self.share = orders, saved, reporter, share
        self.asking = Asking(saved, seed=saved.about.settings.seed)
        self.scratch, self.out = orders.folder / SCRATCH, orders.folder / RESULT
        self.count, self.done, self.told = count, 0, -1.0

    def calibrate(self, places: Sequence[Place], *, seen: bool) -> Calibration:
        """From places with targets that nothing was trained on, unless `seen`."""
        drawn = []
        for number, place in enumerate(places):
            with self._opened(place) as opened:
                answer = self._answered(opened, f"calibrating by {place.name}")
                seed = derived_seed(self.saved.about.settings.seed, "calibration", number)
                drawn.append(Drawn(answer, opened.targets(), self.saved.model, seed))
        return calibrate(drawn, self.saved.model, self.saved.about.settings.tolerance, seen=seen)

    def images(self, places: Sequence[Place], calibration: Calibration) -> tuple[list[ImageResult], list[np.ndarray]]:
        """What is published of each place, and of those with targets uncertainties and errors of some pixels."""
        images, samples = [], []
        for number, place in enumerate(places, 1):
            with self._opened(place) as opened:
                answer = self._answered(opened, f"predicting {place.name}")
                name = packing.folder_name(number, place.source.name)
                image, sample = self._image(place, name, opened, answer, calibration)
            images.append(image)
            samples += [] if sample is None else [sample]
        return images, samples

    @contextmanager
    def _opened(self, place: Place) -> Iterator[Opened]:
        """The images of a place, as they are described in the task."""
        task, about = self.orders.task, self.saved.about
        with ExitStack() as stack:
            source, target = (
                picture
                and stack.enter_context(open_image(task.file(self.orders.storage, picture), picture.description))
                for picture in (place.source, place.target)
            )
            assert source is not None
            yield Opened(source, target, (about.source_channels, about.target_channels))

    def _answered(self, opened: Opened, stage: str) -> Answer:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.told = -1.0
        answer = self.asking(opened.source, self.scratch, lambda share: self._tell(share, stage))
        self.done += 1
        return answer

    def _tell(self, share: float, stage: str) -> None:
        """At most a hundred lines an image: each of them waits for the disk."""
        if share < 1 and share < self.told + 0.01:
            return
        self.told, (low, high) = share, self.share
        self.reporter.tell(low + (high - low) * min(1.0, (self.done + share) / max(1, self.count)) * 0.98, stage=stage)

    def _image(
        self, place: Place, name: str, opened: Opened, answer: Answer, calibration: Calibration
    ) -> tuple[ImageResult, np.ndarray | None]:
        maps = self._maps(opened, answer, calibration)
        scores = self._scores(opened, maps, derived_seed(0, name)) if opened.target is not None else {}
        written = like((place.target.description if place.target else self.saved.about.target),
                       self.saved.about.target_channels, place.source.description)  # fmt: skip
        for role, planes in maps.items():
            about = single_channel(written) if role == "mask" else written
            write_image(self.out / "images" / name / f"{role}.ome.tif", planes, about, planes.dtype)
        own = packing.own_type((place.target.description if place.target else self.saved.about.target).dtype)
        if own is not None:
            write_image(self.out / "images" / name / f"prediction-{own}.ome.tif", maps["prediction"], written, own)
        uncertainty = calibration.of_image(maps["uncertainty"])
        unlike = _unlike(self.saved, opened)
        image = ImageResult(
            name=place.source.name, folder=name, image_id=place.source.id,
            target_id=place.target.id if place.target else None, part=place.part,
            planes=opened.source.description.planes,
            roles=tuple(role for role in ROLES if role in maps or role == "source" or (role == "target" and scores)),
            ranges=self._previews(name, opened, maps),
            metrics=scores["model"].values() if scores else {},
            baselines={by: scores[by].values() for by in BASELINES} if scores else {},
            uncertainty=uncertainty, untrusted=float(maps["mask"].mean() / 255),
            flagged=calibration.flags(uncertainty) or bool(unlike), unlike=unlike,
        )  # fmt: skip
        return image, scores["model"].sample if scores else None

    def _maps(self, opened: Opened, answer: Answer, calibration: Calibration) -> dict[str, np.ndarray]:
        """prediction, uncertainty, mask, and error where there is a target, each (planes, channels, height, width)."""
        planes, channels, height, width = answer.mean.shape
        maps: dict[str, np.ndarray] = {"prediction": answer.mean, "uncertainty": answer.std}
        maps["mask"] = np.memmap(self.scratch / "mask.raw", np.uint8, "w+", shape=(planes, 1, height, width))
        if opened.target is not None:
            maps["error"] = scratch_array(self.scratch / "error.raw", answer.mean.shape)
        targets = opened.targets() if opened.target is not None else iter([None] * planes)
        for place, target in enumerate(targets):
            for rows, _ in bands((channels, height, width)):
                at = (place, slice(None), rows)
                maps["uncertainty"][at] = calibration.uncertainty(answer.mean[at], answer.std[at])
                maps["mask"][at] = 255 * calibration.mask(maps["uncertainty"][at])
                if target is not None:
                    maps["error"][at] = np.abs(answer.mean[at] - target[:, rows])
        return maps

    def _scores(self, opened: Opened, maps: Mapping[str, np.ndarray], seed: int) -> dict[str, Score]:
        """Of the model and of each baseline."""
        low, high = ends(opened.targets())
        scores = {
            by: Score(low, high, maps["prediction"].size, np.random.default_rng(seed)) for by in ("model", *BASELINES)
        }
        pairs = zip(opened.sources(), opened.targets(), strict=True)
        for place, (source, target) in enumerate(pairs):
            prediction, uncertainty = maps["prediction"][place], maps["uncertainty"][place]
            scores["model"].add(lambda rows, of=prediction: of[:, rows], target, uncertainty)
            for by, baseline in BASELINES.items():
                scores[by].add(lambda rows, of=source, made=baseline: made(of[:, rows], self.saved.model), target)
        return scores

    def _previews(self, name: str, opened: Opened, maps: Mapping[str, np.ndarray]) -> Ranges:
        """Write a picture of every plane and role, and tell what black and white stand for."""
        planes: dict[str, Callable[[], Iterator[np.ndarray]]] = {
            "source": opened.sources, **({"target": opened.targets} if opened.target is not None else {}),
            **{role: lambda of=array: iter(of) for role, array in maps.items()},
        }  # fmt: skip
        ranges = {role: _usual(each()) for role, each in planes.items() if role != "mask"}
        shared = ranges.get("target", ranges["prediction"])
        shared = shared if shared[0] < shared[1] else ranges["prediction"]
        widest = max(ranges[role][1] for role in ("uncertainty", "error") if role in ranges)
        ranges |= {"prediction": shared, "uncertainty": (0.0, widest), "mask": (0.0, 255.0)}
        ranges |= {"error": (0.0, widest)} if "error" in ranges else {}
        for role, each in planes.items():
            for place, plane in enumerate(each()):
                with atomic_write(self.out / "previews" / f"{name}-{place}-{role}.png", "wb") as stream:
                    stream.write(preview(plane, *ranges[role], SIDE))
        return ranges


def _usual(planes: Iterator[np.ndarray]) -> tuple[float, float]:
    """Between which nearly all numbers lie, of every k-th pixel."""
    seen = [plane[:, :: _step(plane, 1), :: _step(plane, 2)].ravel() for plane in planes]
    low, high = np.percentile(np.concatenate(seen), (0.1, 99.9))
    return float(low), float(high)


def _step(plane: np.ndarray, axis: int) -> int:
    return max(1, plane.shape[axis] // 512)


def _unlike(saved: Saved, opened: Opened) -> tuple[str, ...]:
    """How an image differs from those of the training, in sentences that name plane and channel if there are some."""
    planes, channels = opened.source.description.planes, len(opened.channels[0])
    found = []
    for place, plane in enumerate(opened.sources(), 1):
        for said in saved.model.unlike([plane]):
            head, _, sentence = said.partition(": ")
            channel = int(head.rpartition(" ")[2]) + 1
            of = ([f"plane {place}"] if planes > 1 else []) + ([f"channel {channel}"] if channels > 1 else [])
            told = f"{', '.join(of)}: {sentence}" if of else sentence
            found.append(told[:1].upper() + told[1:])
    more = [f"And {len(found) - TOLD} more of such."] if len(found) > TOLD else []
    return (*found[:TOLD], *more)
