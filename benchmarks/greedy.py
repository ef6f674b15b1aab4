"""What does Greedy-AS cost beside the procedure that was released with the dissertation, and is its ranking as good?

Sections, on one thread, in processor seconds:

digits   8x8 digits and an MLP; the released procedure whole, with as many coalitions for each feature as it has on
         MNIST (5,000 for 784), every attack at its full length; areas of both criteria (Table 7.1);
mnist    one LeNet; ours to 45 % in steps of 5 %, and the released distance on a sample of coalitions of its first step:
         its cost for a whole explanation, and how far it and our estimate agree with a search of 200 gradients;
whole    digits enlarged to 28x28 and a LeNet; the released procedure whole, 5,000 coalitions, on one image: for a GPU,
         where it takes minutes. Not among the defaults.

`python benchmarks/greedy.py [SECTION ...] [--device DEVICE] [--out FILE]`; all areas are judged by `MinimumNorm` with
200 steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from trustworthy import datasets
from trustworthy.attacks import MinimumNorm
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.losses import margin
from trustworthy.attacks.problem import Problem
from trustworthy.core.norms import L2
from trustworthy.core.protocols import as_posterior
from trustworthy.core.record import Record
from trustworthy.explain import Attribution, Gradient, GreedyAS, RandomOrder, Robustness, as_groups, robustness_curve
from trustworthy.explain.first_order import estimates
from trustworthy.nn.backbones import MLP, LeNet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import released_greedy_as as released  # pyright: ignore[reportMissingImports]

RECORD = Path(__file__).parent / "records" / "greedy.json"
SEED, COALITIONS, PIXELS = 0, 5000, 784
CRITERIA = {"robustness-complement": False, "robustness": True}
Model = Callable[[Tensor], Tensor]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and its processor seconds."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def trained(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).to(x.device).split(64):
            optimiser.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    return model.eval().requires_grad_(requires_grad=False)


def right(model: Model, x: Tensor, y: Tensor, count: int) -> tuple[Tensor, float]:
    """The first examples that are classified correctly, and the accuracy."""
    correct = model(x).argmax(1) == y
    return x[correct.nonzero()[:count, 0]], float(correct.float().mean())


def areas(model: Model, x: Tensor, attribution: Attribution, relevant: bool) -> list[float]:
    return [round(area, 2) for area in robustness_curve(model, x, attribution, relevant=relevant).auc.tolist()]


def as_released(model: Model, x: Tensor, **given: Any) -> tuple[Attribution, float, int]:
    """The released procedure on every example: explanations, processor seconds, and calls of all."""
    base, scores, seconds, calls = Gradient()(model, x), [], 0.0, 0
    shape = x.shape[1:]
    pixels = torch.eye(shape[1] * shape[2], dtype=torch.bool, device=x.device).reshape(-1, *shape)
    generator = torch.Generator(x.device).manual_seed(SEED)
    for one, y in zip(x, base.y.tolist(), strict=True):
        (found, asked), spent = timed(
            lambda one=one, y=y: released.greedy_as(model, one, y, pixels, generator=generator, **given)
        )
        scores.append(found)
        seconds, calls = seconds + spent, calls + asked
    values = torch.stack(scores)
    return replace(base, scores=values.to(x), order=values.argsort(dim=1, descending=True)), seconds, calls


def side_by_side(name: str, model: Model, x: Tensor, **given: Any) -> Iterator[Record]:
    """Ours, the released procedure, the gradient and a random order by both criteria."""
    generator = torch.Generator(x.device).manual_seed(SEED)
    for criterion, relevant in CRITERIA.items():
        method = GreedyAS().for_criterion(criterion)
        began = time.perf_counter()
        ours, seconds = timed(lambda method=method: method(model, x, generator=generator))
        wall = time.perf_counter() - began
        theirs, their_seconds, calls = as_released(model, x, relevant=relevant, **given)
        area = {
            "greedy-as": areas(model, x, ours, relevant),
            "released": areas(model, x, theirs, relevant),
            "gradient": areas(model, x, Gradient()(model, x), relevant),
            "random": areas(model, x, RandomOrder()(model, x, generator=generator), relevant),
        }
        mean = {who: round(float(np.mean(values)), 2) for who, values in area.items()}
        own_calls = float(ours.calls.double().mean())
        yield Record(
            name=f"greedy.{name}.{criterion}",
            value=round(calls / len(x) / own_calls, 1),
            unit="calls of the released procedure for one of ours",
            conditions=given
            | {
                "images": len(x),
                "area": mean,
                "areas": area,
                "calls": {"greedy-as": own_calls, "released": calls / len(x)},
                "seconds_an_image": {
                    "greedy-as": round(seconds / len(x), 2),
                    "released": round(their_seconds / len(x), 2),
                },
            },
            seed=SEED,
            device=x.device.type,
            wall_time=wall,
        )


def digits(device: torch.device) -> Iterator[Record]:
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32, device=device).reshape(-1, 1, 8, 8), torch.tensor(y, device=device)
    torch.manual_seed(SEED)
    model = trained(MLP(features=64, hidden=(64,), classes=10).to(device), x[:1400], y[:1400], 40)
    shown, _ = right(model, x[1400:], y[1400:], 4)
    yield from side_by_side("digits", model, shown, coalitions=round(COALITIONS / PIXELS * 64))


def whole(device: torch.device) -> Iterator[Record]:
    x, y = load_digits(return_X_y=True)
    small = torch.tensor(x / 16, dtype=torch.float32, device=device).reshape(-1, 1, 8, 8)
    large = F.pad(F.interpolate(small, size=20, mode="bilinear"), (4,) * 4).clamp(0, 1)
    torch.manual_seed(SEED)
    model = trained(LeNet().to(device), large[:1400], torch.tensor(y[:1400], device=device), 20)
    shown, _ = right(model, large[1400:], torch.tensor(y[1400:], device=device), 1)
    yield from side_by_side("whole", model, shown, coalitions=COALITIONS)


def mnist(device: torch.device) -> Iterator[Record]:
    data = datasets.load("mnist")
    x, tests = (
        torch.as_tensor(np.asarray(some), dtype=torch.float32) for some in (data.x_train[:20000], data.x_test[:500])
    )
    y, labels = (torch.as_tensor(np.asarray(some)).long() for some in (data.y_train[:20000], data.y_test[:500]))
    torch.manual_seed(SEED)
    model = trained(LeNet(), x.reshape(-1, 1, 28, 28), y, 1)
    shown, accuracy = right(model, tests.reshape(-1, 1, 28, 28), labels, 2)
    generator = torch.Generator().manual_seed(SEED)
    for criterion, relevant in CRITERIA.items():
        method = GreedyAS(until=0.45).for_criterion(criterion)
        ours, seconds = timed(lambda method=method: method(model, shown, generator=generator))
        agreed = agreement(model, shown[:1], relevant, generator)
        calls, own = agreed.pop("calls_a_coalition") * COALITIONS * 10, float(ours.calls.double().mean())
        area = {
            "greedy-as": areas(model, shown, ours, relevant),
            "gradient": areas(model, shown, Gradient()(model, shown), relevant),
            "random": areas(model, shown, RandomOrder()(model, shown, generator=generator), relevant),
        }
        yield Record(
            name=f"greedy.mnist.{criterion}",
            value=round(seconds / len(shown), 2),
            unit="processor seconds an image",
            conditions={
                "images": len(shown),
                "accuracy": accuracy,
                "share": 0.05,
                "until": 0.45,
                "areas": area,
                "calls": {"greedy-as": own, "released, extrapolated": calls},
                "released_calls_for_one_of_ours": round(calls / own, 1),
                **agreed,
            },
            seed=SEED,
            wall_time=seconds,
        )


def agreement(model: Model, x: Tensor, relevant: bool, generator: torch.Generator) -> dict[str, Any]:
    """The released distance and our estimate on coalitions of the first step, against a search of 200 gradients."""
    count, y = 24, model(x).argmax(1)
    drawn = torch.rand(count, PIXELS, generator=generator) < (0.5 if relevant else 0.2)
    free = as_groups("pixel", x).free((drawn if relevant else ~drawn)[None])
    truth = Robustness()(model, x, y, free).size[0]
    (theirs, calls), seconds = timed(lambda: released.distance(model, x[0], int(y), free[0]))
    begun = MinimumNorm(norm="l2")(model, x, y).adversarial.expand(count, *x.shape[1:])
    problem = Problem(
        as_posterior(model), x.expand(count, *x.shape[1:]), Goal(y.expand(count), None, margin), free=free[0]
    )
    quick = {steps: estimates(problem, L2(), (0.0, 1.0), begun, steps) for steps in (1, 2, 4)}
    known = truth.isfinite() & theirs.isfinite()
    return {
        "coalitions_compared": int(known.sum()),
        "calls_a_coalition": calls / count,
        "released_seconds_an_image": round(seconds / count * COALITIONS * 10),
        "released_ratio_to_search": round(float((theirs / truth)[known].mean()), 3),
        "released_correlation": round(correlation(theirs[known], truth[known]), 3),
        "estimate_correlation": {k: round(correlation(v[known], truth[known]), 3) for k, v in quick.items()},
    }


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


SECTIONS = {"digits": digits, "mnist": mnist, "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", default=["digits", "mnist"], help=", ".join(SECTIONS))
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args()
    kept = {record["name"]: record for record in json.loads(asked.out.read_text())} if asked.out.exists() else {}
    torch.set_num_threads(1)
    for section in asked.sections:
        for record in SECTIONS[section](asked.device):
            print(record.name, record.value, record.unit, json.dumps(record.conditions), flush=True)
            kept[record.name] = record.model_dump(mode="json")
            asked.out.parent.mkdir(exist_ok=True)
            asked.out.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
