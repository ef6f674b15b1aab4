"""A prediction for a large image, in a process of its own, and what it took.

python -m studio.results.large FOLDER HEIGHT WIDTH
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from studio.results.jobs import job, saved, translator
from trustworthy.nn import UNet
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.jobs.progress import Reporter
from trustworthy.studio.training.flagging import Calibration
from trustworthy.studio.training.record import load_result
from trustworthy.studio.training.results import predict_new
from trustworthy.studio.training.saving import load_saved
from trustworthy.studio.training.task import Orders

MODEL, NETWORK, STRIP = "a" * 32, (8, 4), 500
KNOWN = Calibration(
    images=3, seen=False, varies=True, factor=2.0, floor=0.01, sizes=(600.0,), promised=0.6, factors=((0.9, 2.0),),
    tolerance=(50.0,), threshold=900.0, flagging="",
)  # fmt: skip


def main(root: Path, height: int, width: int) -> dict[str, object]:
    """Peak memory in GiB, seconds, and the shape of what was predicted."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    orders = large(root, height, width)
    small = np.random.default_rng(0).integers(900, 3000, (1, 64, 64)).astype(np.uint16)
    model = translator([UNet(1, 1, *NETWORK) for _ in range(2)], [small], [small])
    folder = saved(orders, model, orders.storage.model(MODEL), network=NETWORK)
    load_saved(folder).about.model_copy(update={"calibration": KNOWN.model_dump(mode="json")}).save(folder)
    begun = time.perf_counter()
    result = load_result(predict_new(orders, Reporter(orders.folder), torch.device("cpu")))
    seconds = time.perf_counter() - begun
    written = orders.folder / "result" / "images" / result.images[0].folder / "prediction.ome.tif"
    with open_image(written) as opened:
        shape = opened.description.shape
    return {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "seconds": seconds, "shape": shape}


def large(root: Path, height: int, width: int) -> Orders:
    """A job on one image of 16 bits that is written by strips."""
    orders = job(root, [("new", np.zeros((64, 64), np.uint16), None)], kind="predict", model_id=MODEL)
    orders.folder.mkdir(parents=True)
    (place,) = orders.task.places
    file = orders.task.file(orders.storage, place.source)
    image = tifffile.memmap(file, shape=(height, width), dtype=np.uint16, ome=True, metadata={"axes": "YX"})
    for top in range(0, height, STRIP):
        down = np.sin(np.arange(top, min(top + STRIP, height))[:, None] / 23)
        image[top : top + STRIP] = 2000 + 800 * down * np.cos(np.arange(width) / 31)
    image.flush()
    with open_image(file) as opened:
        source = place.source.model_copy(update={"description": opened.description})
    places = (place.model_copy(update={"source": source}),)
    return orders.model_copy(update={"task": orders.task.model_copy(update={"places": places})})


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), *map(int, sys.argv[2:])), sys.stdout)
