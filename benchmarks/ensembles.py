"""What does uncertainty cost? Training of every method of chapter 5 per training of one model, with its quality beside;
predictions of six members per one model and per six passes in a loop written by hand. Memory of tiles is in tiles.py.

Times are of the processor, on one thread, of runs made in turn, so that other work on the machine counts little. No
peer of the seven methods is installed here: what they are measured against is one model and the loop. The record is
written to benchmarks/records/ensembles.json.
"""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from stochastic import paired
from torch import Tensor, nn

from trustworthy import metrics
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import members_of
from trustworthy.core.record import Record
from trustworthy.core.seeds import torch_generator
from trustworthy.nn.backbones import MLP, SmallConvNet, vgg16
from trustworthy.nn.ensemble import Ensemble
from trustworthy.nn.unet import UNet
from trustworthy.training import Engine
from trustworthy.uncertainty import METHODS, FastEnsemble

EPOCHS, BATCH_SIZE, REPEATS, MEMBERS, DRAWS = 20, 32, 3, 6, 15
EXPLORE = REFINE = 0.5
"""Passes over the data: 5 % of a training for each further member, and what the library looks at besides."""
WEIGHT = 1.0
"""Of the distance; reproduce/ch5 shows what other weights do."""
SIDE = 8
RECORD = Path(__file__).parent / "records" / "ensembles.json"
SETTINGS: dict[str, dict[str, Any]] = {
    "naive": {"members": MEMBERS},
    "snapshot": {"members": MEMBERS},
    "batch": {"members": MEMBERS},
    "fast": {"members": MEMBERS, "explore": EXPLORE, "refine": REFINE, "distance_weight": WEIGHT},
    "sgld": {},
    "svi": {},
    "mc-dropout": {"p": 0.1},
}
Rows = tuple[Tensor, Tensor]
quiet = Engine(progress=False)


def main() -> None:
    torch.set_num_threads(1)
    records = [*training(), *prediction()]
    for record in records:
        spread = f" ({record.interval[0]:.3f}..{record.interval[1]:.3f})" if record.interval else ""
        print(f"{record.name:44} {record.value:10.3f}{spread} {record.unit}")
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n")


@functools.cache
def digits() -> tuple[Rows, Rows]:
    """Training and test rows of scikit-learn's digits."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x / 16, dtype=torch.float32).reshape(-1, 1, SIDE, SIDE)
    parts = train_test_split(np.arange(len(y)), test_size=0.33, random_state=0, stratify=y)
    train, test = ((images[rows], torch.tensor(y[rows])) for rows in parts)
    return train, test


def network() -> nn.Module:
    return SmallConvNet(image_size=SIDE, width=16)


def training() -> Iterator[Record]:
    """Processor time of each method per that of one model, which is trained beside it under the same seed."""
    train, (x, y) = digits()
    usual: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE}
    one, singles = METHODS["naive"](**usual, members=1), []
    for name, settings in SETTINGS.items():
        method, found = METHODS[name](**usual, **settings), []
        for seed in range(REPEATS):
            again, single = timed(partial(one.fit, network, train, engine=quiet, seed=seed))
            if isinstance(method, FastEnsemble):
                own: dict[str, Any] = {"batch_size": BATCH_SIZE, **settings}
                run = partial(FastEnsemble.from_seed, single.members[0], train, engine=quiet, seed=seed, **own)
                singles.append((1.0, single))
            else:
                run = partial(method.fit, network, train, engine=quiet, seed=seed)
            seconds, model = timed(run)
            found.append((seconds / again + isinstance(method, FastEnsemble), model))
        yield told(f"training.{name}", found, x, y, **settings)
        if isinstance(method, FastEnsemble):
            further = [((ratio - 1) / (MEMBERS - 1), model) for ratio, model in found]
            yield told("training.fast.each_further_member", further, x, y, **settings)
            yield told("training.single", singles, x, y)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what comes of it."""
    started = time.process_time()
    done = run()
    return time.process_time() - started, done


def told(name: str, found: list[tuple[float, Any]], x: Tensor, y: Tensor, **settings: Any) -> Record:
    """The median ratio, with the accuracy and the negative log-likelihood of the mean over the seeds."""
    began = time.perf_counter()
    ratios = sorted(ratio for ratio, _ in found)
    answers = [predict(model, x, draws=None if members_of(model) else DRAWS, generator=torch_generator(0, "asked"))
               .probabilities.double().numpy() for _, model in found]  # fmt: skip
    quality = {
        "accuracy": round(statistics.mean(metrics.accuracy(each, y.numpy()) for each in answers), 4),
        "nll": round(statistics.mean(metrics.nll(each / each.sum(1, keepdims=True), y.numpy()) for each in answers), 4),
        "ece": round(statistics.mean(metrics.ece(each, y.numpy()) for each in answers), 4),
    }
    return Record(
        name=name,
        value=statistics.median(ratios),
        interval=(ratios[0], ratios[-1]),
        level=1.0,
        unit=f"times the processor time of one model, accuracy {quality['accuracy']:.3f}, NLL {quality['nll']:.3f}",
        conditions={**settings, **quality, "repeats": len(ratios), "epochs": EPOCHS, "batch_size": BATCH_SIZE,
                    "network": f"SmallConvNet, width 16, {SIDE}x{SIDE}", "rows": len(digits()[0][1])},
        seed=0,
        wall_time=time.perf_counter() - began,
    )  # fmt: skip


def prediction() -> Iterator[Record]:
    """Six members by `predict`, per one model by `predict` and per the loop of six passes."""
    for name, build, shape in (
        ("mlp", partial(MLP, features=64, classes=10), (64,)),
        ("small_conv_net.8x8", network, (1, SIDE, SIDE)),
        ("vgg16_eighth.32x32", partial(vgg16, width=0.125), (3, 32, 32)),
        ("unet.96x96", partial(UNet, width=8, depth=4), (1, 96, 96)),
    ):
        ensemble = Ensemble([build() for _ in range(MEMBERS)]).eval()
        one = ensemble.members[0]
        for batch in (1, 8, 64):
            x = torch.rand(batch, *shape)
            calls = max(1, 16 // batch)
            asked = partial(predict, ensemble, x)
            yield paired(
                f"predict.{name}.batch_{batch}.per_loop", partial(looped, ensemble, x), asked, calls, members=MEMBERS
            )
            yield paired(
                f"predict.{name}.batch_{batch}.per_model", partial(predict, one, x), asked, calls, members=MEMBERS
            )


def looped(ensemble: Ensemble, x: Tensor) -> Tensor:
    """What a user would write: every member asked in turn."""
    with torch.no_grad():
        return torch.stack([member(x) for member in ensemble.members])


if __name__ == "__main__":
    main()
