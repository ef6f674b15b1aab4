"""What does a 16-bit image of 12,000 x 12,000 pixels need? Memory and time of an ensemble, asked by tiles.

    /usr/bin/time -v python benchmarks/tiles.py

The image is written to a TIFF file by strips and read by tiles; mean and standard deviation over the members are
written by tiles as 16-bit files. A window in the middle is compared with what the same ensemble answers to it in one
piece. Time is of the processor, on one thread. The full size alone goes to benchmarks/records/tiles.json;
`--side 2000` is a try.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch

from trustworthy.core.predictive import predict
from trustworthy.core.record import Record
from trustworthy.core.seeds import numpy_generator
from trustworthy.nn import Ensemble, Translator, UNet
from trustworthy.uncertainty import predict_tiled

SIDE, WIDTH, DEPTH, MEMBERS, SEED = 12_000, 8, 4, 3, 0
STRIP, WINDOW = 500, 1024
RECORD = Path(__file__).parent / "records" / "tiles.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--tile", type=int, default=512)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    networks = Ensemble(UNet(width=WIDTH, depth=DEPTH) for _ in range(MEMBERS)).eval()
    model = Translator(networks, [2000.0], [600.0], [3000.0], [20_000.0])  # untrained: small answers made large
    with tempfile.TemporaryDirectory() as folder:
        source = strips(Path(folder) / "source.tif", chosen.side)
        mean, std = (
            tifffile.memmap(Path(folder) / f"{name}.tif", shape=source.shape, dtype=np.uint16)
            for name in ("mean", "std")
        )
        start = time.process_time()
        predict_tiled(model, source, tile=chosen.tile, out=(mean, std))
        seconds = time.process_time() - start
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        apart = difference(model, source, mean)
    conditions = {
        "side": chosen.side, "tile": chosen.tile, "network": f"UNet(width={WIDTH}, depth={DEPTH})", "members": MEMBERS,
        "type": "uint16 in and out", "threads": 1,
    }  # fmt: skip
    records = [
        Record(name=f"tiles.{name}", value=value, unit=unit, conditions=conditions, seed=SEED, wall_time=seconds)
        for name, value, unit in [
            ("peak memory", gigabytes, "GiB of the process, with the pages of the files that it maps"),
            ("processor time", seconds, "s"),
            ("difference from the window in one piece", apart, "counts"),
        ]
    ]
    for record in records:
        print(f"{record.name:48} {record.value:10.3f} {record.unit}")
    if chosen.side == SIDE:
        RECORD.write_text(json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n")


def strips(path: Path, side: int) -> np.ndarray:
    """A file of smooth blobs and noise, opened for reading."""
    file, generator = tifffile.memmap(path, shape=(side, side), dtype=np.uint16), numpy_generator(SEED, "image")
    across = np.arange(side)
    for top in range(0, side, STRIP):
        down = np.arange(top, min(top + STRIP, side))[:, None]
        blobs = np.sin(down / 23.0) * np.cos(across / 31.0)
        file[top : top + STRIP] = 2000 + 800 * blobs + generator.normal(0, 150, blobs.shape)
    file.flush()
    return tifffile.memmap(path, mode="r")


def difference(model: Translator, source: np.ndarray, mean: np.ndarray) -> float:
    """Largest difference, in counts, between the tiled mean and that of a window asked in one piece."""
    grid, reach = 2**DEPTH, 3 * (2**DEPTH - 1)
    margin = -(-reach // grid) * grid
    first = (source.shape[0] - WINDOW) // 2 // grid * grid
    window = slice(first, first + WINDOW)
    x = torch.from_numpy(source[window, window].astype(np.float32))[None, None]
    whole = predict(model, x).mean[0, 0].round().numpy()[margin:-margin, margin:-margin]
    return float(np.abs(whole - mean[window, window][margin:-margin, margin:-margin]).max())


if __name__ == "__main__":
    main()
