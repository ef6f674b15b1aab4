"""What does a step of `training.fit` cost beside the same step in a bare torch loop?

Both train the same network on the same batches with the same optimizer, in turn, several times. The bare loop does the
least that trains: pick the rows, forward, backward, update. Times are of the processor, on one thread, so that other
work on the machine counts little. The record is written to benchmarks/records/training.json.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.core.record import Record
from trustworthy.nn.backbones import MLP, SmallConvNet
from trustworthy.training import fit

EPOCHS, BATCH_SIZE, REPEATS, SEED = 6, 128, 11, 0
RECORD = Path(__file__).parent / "records" / "training.json"
SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9)


def bare(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """The loop that a reader of the torch tutorials writes."""
    optimizer = SGD(model.parameters())
    generator = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(BATCH_SIZE):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def ours(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """The same through the library."""
    fit(model, (x, y), epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=SGD, seed=SEED)


def seconds(train: Callable[[nn.Module, Tensor, Tensor], None], model: nn.Module, x: Tensor, y: Tensor) -> float:
    fresh = copy.deepcopy(model)
    started = time.process_time()
    train(fresh, x, y)
    return time.process_time() - started


def compare(name: str, model: nn.Module, x: Tensor, y: Tensor) -> Record:
    """Median over the repeats of the ratio of two runs made one after the other."""
    began = time.perf_counter()
    steps = EPOCHS * -(-len(x) // BATCH_SIZE)
    for train in (bare, ours):
        seconds(train, model, x, y)
    pairs = [(seconds(bare, model, x, y), seconds(ours, model, x, y)) for _ in range(REPEATS)]
    ratios = sorted(fitted / loop for loop, fitted in pairs)
    loop, fitted = (statistics.median(column) / steps for column in zip(*pairs, strict=True))
    return Record(
        name=f"training.overhead.{name}",
        value=statistics.median(ratios),
        interval=(ratios[0], ratios[-1]),
        level=1.0,
        unit="processor seconds of fit per second of a bare torch loop, median; the interval is the lowest and highest",
        conditions={
            "rows": len(x),
            "shape": list(x.shape[1:]),
            "steps": steps,
            "batch_size": BATCH_SIZE,
            "repeats": REPEATS,
            "threads": torch.get_num_threads(),
            "microseconds_per_step_bare": round(1e6 * loop, 1),
            "microseconds_per_step_fit": round(1e6 * fitted, 1),
        },
        seed=SEED,
        wall_time=time.perf_counter() - began,
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels)
    records = [
        compare("linear", MLP(features=64, classes=10, hidden=()), x, y),
        compare("mlp", MLP(features=64, classes=10), x, y),
        compare("small_conv_net", SmallConvNet(image_size=8), x, y),
    ]
    for record in records:
        per_step = [record.conditions[f"microseconds_per_step_{loop}"] for loop in ("bare", "fit")]
        low, high = record.interval or (0.0, 0.0)
        print(
            f"{record.name:36} bare {per_step[0]:8.1f} us  fit {per_step[1]:8.1f} us  "
            f"ratio {record.value:.3f} ({low:.3f}..{high:.3f})"
        )
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n")


if __name__ == "__main__":
    main()
