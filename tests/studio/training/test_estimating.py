"""What a training is said to take, and what it takes."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from studio.training.fields import smooth
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.control import TrainingSettings
from trustworthy.studio.training.estimating import Estimate, estimate
from trustworthy.studio.training.task import Orders

PARTS = ("train", "train", "validation", "test")


def of(orders: Orders) -> Estimate:
    places = orders.task.places
    sources = [place.source.description for place in places]
    return estimate(orders.task.settings, sources, [place.part for place in places], "cpu", orders.threads)


def test_it_counts_the_steps_and_grows_with_them():
    images = [Description(axes="ZYX", shape=(3, 100, 64), dtype="uint8")] * 4
    small = TrainingSettings(epochs=10, patch=32, width=4, depth=2, members=2)
    found = estimate(small, images, PARTS, "cpu", 1)
    assert (found.patches, found.steps) == (2 * 3 * 4 * 2, 2 * 10 * 6)
    longer = estimate(small.model_copy(update={"epochs": 200}), images, PARTS, "cpu", 1)
    assert longer.steps == 20 * found.steps
    assert longer.seconds > found.seconds + 1
    assert longer.memory_bytes == found.memory_bytes
    more = estimate(small.model_copy(update={"members": 10}), images, PARTS, "cpu", 1)
    assert more.disk_bytes > found.disk_bytes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "images", "settings"),
    [
        (256, 8, {"epochs": 10, "members": 2, "width": 16, "patch": 64, "batch_size": 4}),
        (384, 8, {"epochs": 10, "members": 3, "width": 24, "patch": 128, "method": "fast"}),
        (256, 16, {"epochs": 10, "width": 8, "patch": 256, "method": "mc-dropout"}),
    ],
)
def test_a_job_takes_what_was_said_within_a_factor_of_two(
    orders_for: Callable[..., Orders],
    record_property: Callable[[str, object], None],
    side: int,
    images: int,
    settings: dict[str, object],
):
    fields = [smooth(side, seed)[0] for seed in range(images)]
    pairs = [
        (PARTS[k % 4], (128 + 30 * field).clip(0, 255).astype(np.uint8), (2000 + 300 * field).astype(np.uint16))
        for k, field in enumerate(fields)
    ]
    orders = orders_for(pairs, **settings).model_copy(update={"threads": 1})
    orders.save()
    said, found = of(orders), measured(orders)
    ratios = {
        "seconds": said.seconds / found[0], "memory": said.memory_bytes / found[1], "disk": said.disk_bytes / found[2],
    }  # fmt: skip
    record_property("said over found", ratios)
    assert all(0.5 < ratio < 2 for ratio in ratios.values()), ratios


def measured(orders: Orders) -> tuple[float, int, int]:
    """Seconds of a processor, whatever else it does, and bytes of memory and of disk at most, of a job's process."""
    begun, memory, disk = _used(), 0, 0
    command = [sys.executable, "-m", "trustworthy.studio.training", str(orders.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory = max(memory, _memory(process.pid))
            disk = max(disk, _size(orders.folder) + _unnamed(process.pid))
            time.sleep(0.05)
    assert process.returncode == 0, (orders.folder / "failure.json").read_text()
    return _used() - begun, memory, disk


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(process: int) -> int:
    try:
        words = Path(f"/proc/{process}/status").read_text().split()
    except OSError:
        return 0
    return 1024 * int(words[words.index("VmRSS:") + 1]) if "VmRSS:" in words else 0


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # folders may go while they are looked at
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _unnamed(process: int) -> int:
    """Of files that have no name any more."""
    total = 0
    for opened in Path(f"/proc/{process}/fd").glob("*"):
        try:
            total += opened.stat().st_size if "(deleted)" in str(opened.readlink()) else 0
        except OSError:
            continue
    return total
