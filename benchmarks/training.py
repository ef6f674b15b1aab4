"""What does a step of `training.fit`, and of adversarial training, cost beside the same step in a bare torch loop?

Both train the same network on the same batches with the same optimizer, in turn, several times. The bare loop does the
least that trains: pick the rows, forward, backward, update. The bare adversarial loop does so on the worst of the
iterates of PGD, with as many forward and backward passes as the library. Times are of the processor, on one thread, so
that other work on the machine counts little. The record is written to benchmarks/records/training.json.
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
from trustworthy.defenses import AdversarialTraining
from trustworthy.nn.backbones import MLP, SmallConvNet
from trustworthy.training import fit

EPOCHS, BATCH_SIZE, REPEATS, SEED = 6, 128, 11, 0
EPS, STEPS, ADVERSARIAL_EPOCHS = 0.1, 10, 1
RECORD = Path(__file__).parent / "records" / "training.json"
SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9)
Loops = tuple[Callable[[nn.Module, Tensor, Tensor], None], Callable[[nn.Module, Tensor, Tensor], None]]


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


def worst(model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """PGD as a reader of Madry et al. writes it, who keeps the worst of the points that were seen."""
    model.eval()
    at = (x + torch.empty_like(x).uniform_(-EPS, EPS, generator=generator)).clamp(0, 1)
    best, highest = x.clone(), torch.full((len(x),), -torch.inf)
    for step in range(STEPS + 2):  # the last two, the end and the input, ask for no gradient
        point = at.detach().requires_grad_(step < STEPS) if step <= STEPS else x
        with torch.set_grad_enabled(step < STEPS):
            losses = F.cross_entropy(model(point), y, reduction="none")
        better = losses.detach() > highest
        best[better], highest[better] = point.detach()[better], losses.detach()[better]
        if step < STEPS:
            (gradient,) = torch.autograd.grad(losses.sum(), point)
            at = (x + (point.detach() + 2.5 * EPS / STEPS * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
    model.train()
    return best


def bare_adversarial(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """The loop of `bare` on adversarial examples."""
    optimizer = SGD(model.parameters())
    generator = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(ADVERSARIAL_EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(BATCH_SIZE):
            loss = F.cross_entropy(model(worst(model, x[rows], y[rows], generator)), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def our_adversarial(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """The same through the library."""
    defense = AdversarialTraining.pgd(
        eps=EPS, steps=STEPS, epochs=ADVERSARIAL_EPOCHS, batch_size=BATCH_SIZE, optimizer="sgd", learning_rate=0.01,
        schedule="constant",
    )  # fmt: skip
    defense(model, (x, y), seed=SEED)


def seconds(train: Callable[[nn.Module, Tensor, Tensor], None], model: nn.Module, x: Tensor, y: Tensor) -> float:
    fresh = copy.deepcopy(model)
    started = time.process_time()
    train(fresh, x, y)
    return time.process_time() - started


def compare(
    name: str, model: nn.Module, x: Tensor, y: Tensor, *, loops: Loops = (bare, ours), epochs: int = EPOCHS
) -> Record:
    """Median over the repeats of the ratio of two runs made one after the other."""
    began = time.perf_counter()
    steps = epochs * -(-len(x) // BATCH_SIZE)
    for train in loops:
        seconds(train, model, x, y)
    pairs = [(seconds(loops[0], model, x, y), seconds(loops[1], model, x, y)) for _ in range(REPEATS)]
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
        compare(
            "adversarial.small_conv_net",
            SmallConvNet(image_size=8),
            x,
            y,
            loops=(bare_adversarial, our_adversarial),
            epochs=ADVERSARIAL_EPOCHS,
        ),
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
