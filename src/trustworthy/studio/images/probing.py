"""What an image holds, found out in a process of its own: a file that lies about itself can harm no other."""

from __future__ import annotations

import atexit
import base64
import contextlib
import errno
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from trustworthy.core.errors import DataError, TrustworthyError
from trustworthy.studio.images.converting import convert
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.preview import preview
from trustworthy.studio.images.reading import OpenImage, check_size, open_image
from trustworthy.studio.settings import GIB, Settings
from trustworthy.studio.values import Value

SIDE = 256
"""Of a thumbnail, in pixels."""
SECONDS = 120.0
BYTES_A_SECOND = 2e6
"""A probe may take `SECONDS`, and one more for each of these in the file."""
BAND = 2**22
"""Pixels of a plane that are looked at together."""
SAMPLE = 200_000
"""Pixels of a channel, evenly spread, whose order statistics stand for those of all."""


class Channel(Value):
    """One channel in numbers, over all planes, in the units of the file.

    dark, bright : below and above which lie .5 % of the pixels. highest : share of pixels at the maximum.
    """

    min: float
    max: float
    mean: float
    std: float
    dark: float
    bright: float
    highest: float

    @property
    def constant(self) -> bool:
        return self.min == self.max


class Statistics(Value):
    """Of all channels, in the order of `OpenImage.plane`."""

    channels: tuple[Channel, ...]

    @property
    def constant(self) -> bool:
        """Whether some channel has one value everywhere."""
        return any(channel.constant for channel in self.channels)


@dataclass(frozen=True)
class Found:
    """thumbnail : PNG of the middle plane, `SIDE` pixels at most."""

    description: Description
    statistics: Statistics
    thumbnail: bytes


@dataclass
class Prober:
    """A process that looks through one file after the other, with bounded memory and time; a new one where it dies."""

    settings: Settings
    _child: subprocess.Popen[str] | None = field(default=None, init=False)

    def look(self, path: Path, description: Description | None = None) -> Found:
        """What a file holds.

        description : with the axes that a person has named; None for those that the file names.

        Raises
        ------
        DataError : it is no image, damaged, cut off, too large, too slow to decode, or holds numbers that are none.
        """
        answer = self._ask(path, description=None if description is None else description.to_json())
        return Found(
            Description(**answer["description"]),
            Statistics(**answer["statistics"]),
            base64.b64decode(answer["thumbnail"]),
        )

    def convert(self, path: Path, folder: Path) -> list[tuple[str, Path]]:
        """Turn a file of a microscope's maker into OME-TIFF below `folder`, as `converting` does. Raises DataError."""
        answer = self._ask(path, folder=str(folder))
        return [(name, Path(file)) for name, file in answer["images"]]

    def _ask(self, path: Path, **wish: Any) -> dict[str, Any]:
        child = self._child = self._child or _start()
        assert child.stdin is not None
        assert child.stdout is not None
        seconds = SECONDS + path.stat().st_size / BYTES_A_SECOND
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        try:
            wish |= {"path": str(path), "seconds": seconds, "max_pixels": self.settings.max_pixels}
            child.stdin.write(json.dumps(wish) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:
            self.close()  # or its answer would be taken for that to the next question
            raise
        finally:
            timer.cancel()
        if not line:
            self.close()
            raise DataError(
                "the image could not be decoded within the memory and the time that an image may take; the file may be "
                "damaged, or one plane of it is too large. Export it again, or cut it into smaller images."
            )
        answer = json.loads(line)
        if answer.get("full"):
            raise OSError(errno.ENOSPC, answer["error"])
        if "error" in answer:
            raise DataError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process; a later question starts another one."""
        if self._child is not None:
            self._child.kill()
            with contextlib.suppress(BrokenPipeError), self._child:  # which closes its pipes and waits for it
                self._child = None


_IDLE: list[Prober] = []
"""They wait for the next file: to start one takes as long as to look through ten images."""
KEPT = 2


@contextlib.contextmanager
def lent(settings: Settings) -> Iterator[Prober]:
    """A prober for one caller at a time, which is kept for the next one."""
    try:
        prober = _IDLE.pop()
        prober.settings = settings
    except IndexError:
        prober = Prober(settings)
    try:
        yield prober
    finally:
        if len(_IDLE) < KEPT:
            _IDLE.append(prober)
        else:
            prober.close()


@atexit.register
def _close() -> None:
    while _IDLE:
        _IDLE.pop().close()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _serve() -> None:
    """In the child: answer each line of JSON by one."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a decoder prints is no answer
    for line in sys.stdin:
        wish = json.loads(line)
        try:
            answer = _converted(**wish) if "folder" in wish else _answered(**wish)
        except TrustworthyError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": str(error), "full": error.errno in (errno.ENOSPC, errno.EDQUOT)}
        except MemoryError:
            answer = {"error": "one plane of the image needs more memory than may be used. Cut it into smaller images."}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answered(path: str, seconds: float, max_pixels: int, description: dict[str, Any] | None) -> dict[str, Any]:
    file = Path(path)
    _limit(seconds, file.stat().st_size)
    with open_image(file, None if description is None else Description(**description)) as image:
        about = image.description
        check_size(about, max_pixels)
        plane = about.channels * about.height * about.width * np.dtype(about.dtype).itemsize
        _limit(seconds, file.stat().st_size + min(3 * plane, psutil.virtual_memory().total // 2))
        statistics = _measured(image)
        thumbnail = base64.b64encode(_thumbnail(image, statistics)).decode()
    return {"description": about.to_json(), "statistics": statistics.model_dump(), "thumbnail": thumbnail}


def _converted(path: str, seconds: float, max_pixels: int, folder: str) -> dict[str, Any]:
    file = Path(path)
    _limit(seconds, file.stat().st_size + psutil.virtual_memory().total // 2)
    try:
        return {"images": convert(file, Path(folder), max_pixels)}
    except (TrustworthyError, OSError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"the file cannot be read, it is damaged or cut off ({error}). Export it again.") from error


def _limit(seconds: float, size: int) -> None:
    """Let this process have so many more seconds of the processor, and 2 GiB and `size` bytes of memory."""
    with contextlib.suppress(ImportError):  # where the system is Windows the clock of the parent alone limits it
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (2 * GIB + size, resource.RLIM_INFINITY))


def _measured(image: OpenImage) -> Statistics:
    about = image.description
    moments = [_Moments() for _ in range(about.channels)]
    samples: list[list[np.ndarray]] = [[] for _ in moments]
    step = max(1, about.planes * about.height * about.width // SAMPLE)
    rows = max(1, BAND // about.width)
    for index in range(about.planes):
        plane = image.plane(index)
        for channel, moment, sample in zip(plane, moments, samples, strict=True):
            for start in range(0, about.height, rows):
                moment.add(channel[start : start + rows])
            sample.append(channel.ravel()[::step].astype(np.float64))
    return Statistics(channels=tuple(m.channel(np.concatenate(s)) for m, s in zip(moments, samples, strict=True)))


@dataclass
class _Moments:
    """Of a stream of numbers: Chan's update of count, mean and sum of squares (1979), and the extremes."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    at_high: int = 0

    def add(self, band: np.ndarray) -> None:
        values = band.astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError("some pixels are no numbers (NaN or infinite); replace them, and export the image again.")
        mean, count, high = float(values.mean()), self.count + values.size, float(values.max())
        apart = mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + apart**2 * self.count * values.size / count
        self.mean += apart * values.size / count
        at = int((values == high).sum())
        self.at_high = at if high > self.high else self.at_high + at * (high == self.high)
        self.count, self.low, self.high = count, min(self.low, float(values.min())), max(self.high, high)

    def channel(self, sample: np.ndarray) -> Channel:
        dark, bright = np.quantile(sample, (0.005, 0.995))
        std = math.sqrt(self.squares / self.count)
        return Channel(
            min=self.low, max=self.high, mean=self.mean, std=std, dark=dark, bright=bright,
            highest=self.at_high / self.count,
        )  # fmt: skip


def _thumbnail(image: OpenImage, statistics: Statistics) -> bytes:
    plane = image.plane(image.description.planes // 2)
    shown = statistics.channels if len(plane) == 3 else statistics.channels[:1]
    if image.description.length("S") == 3 and image.description.dtype == "uint8":
        return preview(plane, 0, 255, SIDE)
    return preview(plane, min(each.dark for each in shown), max(each.bright for each in shown), SIDE)


if __name__ == "__main__":
    _serve()
