"""How small are the perturbations that MinimumNorm finds, against five other searches and three of foolbox's?

One run, one network, the same digits and the same masks for all: LeNet on MNIST, correctly classified test digits,
untargeted. Of each digit all pixels are free, a random half of them, or a random fifth. Every result is judged by this
script's own rule: misclassified, inside [0, 1], unchanged where it is not free. The ratio is that of the distance to
the smallest that any method in the same table found, mean over the digits that a method breaks. The methods of foolbox,
which know no masks, attack the network restricted to what is free.

"ours, warm" goes on from what 200 steps found with a mask that differs in 5 % of the pixels.

    python benchmarks/minimum_norm.py [--digits 100] [--weights lenet.pt] [--out benchmarks/records/minimum_norm.json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.reference.released_g import released_g

from trustworthy import datasets
from trustworthy.attacks import APGD, PGD, Attack, Bisection, CarliniWagner, MinimumNorm
from trustworthy.core.files import atomic_write
from trustworthy.core.norms import as_norm
from trustworthy.core.record import versions
from trustworthy.nn.backbones import LeNet
from trustworthy.training import fit

SHARES = {"all": 1.0, "half": 0.5, "fifth": 0.2}
CHANGED = 0.05  # share of the pixels in which the neighbouring mask differs
Found = tuple[Tensor, float]  # distances, inf where nothing was found, and model calls of one digit


class Restricted(nn.Module):
    """The network on what is free, the rest being held; counts what it is asked about."""

    def __init__(self, model: nn.Module, x: Tensor, free: Tensor) -> None:
        super().__init__()
        self.model, self.x, self.free, self.asked = model, x, free, 0

    def forward(self, z: Tensor) -> Tensor:
        self.asked += len(z)
        return self.model(torch.where(self.free, z, self.x))


def judged(model: nn.Module, x: Tensor, y: Tensor, free: Tensor, adversarial: Tensor, norm: str) -> Tensor:
    """Distance of each digit, by this script's own rule; inf where the result does not count."""
    with torch.no_grad():
        counts = model(adversarial).argmax(1) != y
    moved = (adversarial - x).flatten(1)
    valid = (adversarial.flatten(1).amin(1) >= 0) & (adversarial.flatten(1).amax(1) <= 1)
    valid &= ~((moved != 0) & ~free.flatten(1)).any(1)
    return torch.where(counts & valid, as_norm(norm).size(moved), torch.inf)


def masks(x: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Another random `share` of the pixels free in each digit."""
    order = torch.rand(len(x), x[0].numel(), generator=draw).argsort(1).argsort(1)
    return (order < round(share * x[0].numel())).reshape(x.shape)


def ours(attack: Attack, model: nn.Module, x: Tensor, y: Tensor, free: Tensor) -> Found:
    result = attack(model, x, y, free=free, generator=torch.Generator().manual_seed(0))
    return judged(model, x, y, free, result.adversarial, attack.geometry.name), result.queries.double().mean().item()


def warm(norm: str, model: nn.Module, x: Tensor, y: Tensor, free: Tensor) -> Found:
    changed = masks(x, CHANGED, torch.Generator().manual_seed(2))
    neighbour = MinimumNorm(norm=norm)(model, x, y, free=free ^ changed)
    return ours(MinimumNorm(norm=norm, steps=20, start=neighbour.adversarial), model, x, y, free)


def foolbox_attack(name: str, options: dict[str, Any], model: nn.Module, x: Tensor, y: Tensor, free: Tensor) -> Found:
    import foolbox

    restricted = Restricted(model, x, free).eval()
    wrapped = foolbox.PyTorchModel(restricted, bounds=(0, 1), device="cpu")
    found = getattr(foolbox.attacks, name)(**options)(wrapped, x, y, epsilons=None)[1].detach()
    adversarial = torch.where(free, found, x)
    return judged(model, x, y, free, adversarial, "l2"), restricted.asked / len(x)


def released(model: nn.Module, x: Tensor, y: Tensor, free: Tensor) -> Found:
    distance, calls = released_g(model, x, y, free)
    return distance, calls.double().mean().item()


def contenders(norm: str) -> dict[str, Callable[[nn.Module, Tensor, Tensor, Tensor], Found]]:
    whole = {"l2": 28.0, "linf": 1.0}[norm]  # as far as any corner of the box
    bisected = {"eps": whole, "norm": norm, "steps": 20, "random_start": False}
    attacks: dict[str, Attack] = {
        "ours, 200 steps": MinimumNorm(norm=norm),
        "ours, 50 steps": MinimumNorm(norm=norm, steps=50),
        "our bisected PGD": Bisection(attack=PGD(**bisected), bisections=8),
        "our bisected APGD": Bisection(attack=APGD(**bisected), bisections=8),
    }
    if norm == "l2":
        attacks["our C&W"] = CarliniWagner(steps=100, searches=4)
    every: dict[str, Any] = {
        name: lambda *given, attack=attack: ours(attack, *given) for name, attack in attacks.items()
    }
    every["ours, warm, 20 steps"] = lambda *given: warm(norm, *given)
    if norm == "l2":
        every |= {
            "foolbox DDN": lambda *given: foolbox_attack("DDNAttack", {"steps": 200}, *given),
            "foolbox FMN": lambda *given: foolbox_attack("L2FMNAttack", {"steps": 200}, *given),
            "foolbox C&W": lambda *given: foolbox_attack(
                "L2CarliniWagnerAttack", {"steps": 100, "binary_search_steps": 4, "initial_const": 1.0}, *given
            ),
            "foolbox DeepFool": lambda *given: foolbox_attack("L2DeepFoolAttack", {}, *given),
            "released bisection": released,
        }
    return every


def measure(digits: int, weights: Path | None) -> dict[str, Any]:
    model, x, y, accuracy = trained(digits, weights)
    results: dict[str, Any] = {}
    for norm in ("l2", "linf"):
        for name, share in SHARES.items():
            free = masks(x, share, torch.Generator().manual_seed(1))
            found, rows = {}, {}
            for method, search in contenders(norm).items():
                start = time.process_time()
                distance, calls = search(model, x, y, free)
                found[method] = distance
                rows[method] = {"calls": calls, "processor_seconds": time.process_time() - start}
            best = torch.stack(list(found.values())).amin(0)
            for method, distance in found.items():
                broken = distance.isfinite()
                rows[method] |= {
                    "success": broken.double().mean().item(),
                    "missed": int((best.isfinite() & ~broken).sum()),
                    "median": distance.median().item(),
                    "ratio": (distance / best)[broken].double().mean().item(),
                }
                row = rows[method]
                print(
                    f"{norm:5s}{name:6s}{method:22s}{row['success']:6.2f}{row['median']:8.3f}{row['ratio']:8.4f}"
                    f"{row['missed']:4d}{row['calls']:8.0f}{row['processor_seconds']:8.1f}",
                    flush=True,
                )
            results[f"{norm}, {name}"] = rows
    return {"accuracy": accuracy, "tables": results}


def trained(digits: int, weights: Path | None) -> tuple[nn.Module, Tensor, Tensor, float]:
    """LeNet with `weights`, or after two epochs on MNIST, and the first test digits that it classifies correctly."""
    data = datasets.load("mnist")
    torch.manual_seed(0)
    model = LeNet()
    if weights is None:
        fit(model, (data.x_train, data.y_train), epochs=2, seed=0)
    else:
        model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # twice as fast on a CPU
    images, labels = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)
    with torch.no_grad():
        right = torch.cat([model(part).argmax(1) for part in images.split(500)]) == labels
    chosen = right.nonzero().squeeze(1)[:digits]
    return model, images[chosen].contiguous(), labels[chosen].contiguous(), right.double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=100)
    parser.add_argument("--weights", type=Path, default=None, help="state of a LeNet trained before")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "records" / "minimum_norm.json")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    results = measure(arguments.digits, arguments.weights)
    network = "trained here" if arguments.weights is None else "weights given"
    conditions = {
        "digits": arguments.digits,
        "network": network,
        "shares": SHARES,
        "changed": CHANGED,
        "accuracy": results["accuracy"],
    }
    with atomic_write(arguments.out) as stream:
        # JSON knows no inf, the median where fewer than half are broken, and no NaN, the ratio where none is.
        for rows in results["tables"].values():
            for row in rows.values():
                row |= {name: None for name, value in row.items() if not math.isfinite(value)}
        json.dump({"conditions": conditions, "versions": versions(), "results": results["tables"]}, stream, indent=1)
        stream.write("\n")


if __name__ == "__main__":
    main()
