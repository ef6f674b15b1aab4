"""How fast are the attacks, against a minimal hand-written loop and against three libraries?

One run, one thread, one model, one batch: every contender takes its turn in each round, so that a machine that slows
down slows all of them, and the figure is the median over rounds of the ratio to the hand-written loop of the same
round. The loop does what a result needs and nothing else: the steps, and one forward pass that judges what comes out.
The library and foolbox do the same. torchattacks and ART return the examples unjudged; beside them stand the same loop
and the library's `perturb`, unjudged too. Success is judged again here, the same way for all: finite, inside the bounds
and the ball, and misclassified.

    python benchmarks/attacks.py [--rounds 15] [--batch 256] [--out benchmarks/records/attacks.json]
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trustworthy import datasets
from trustworthy.attacks import FGSM, PGD, CarliniWagner
from trustworthy.attacks.losses import margin
from trustworthy.core.files import atomic_write
from trustworthy.core.norms import L2
from trustworthy.core.record import versions
from trustworthy.nn.backbones import SmallConvNet
from trustworthy.training import fit

EPS = {"linf": 0.1, "l2": 1.5}
PGD_STEPS, CW_STEPS, CW_C, CW_RATE = 20, 50, 1.0, 0.01
Contender = Callable[[], Tensor]


def judge(model: nn.Module, adversarial: Tensor) -> Tensor:
    """What every result needs: does the model err on it?"""
    with torch.no_grad():
        model(adversarial).argmax(1)
    return adversarial


def fgsm_by_hand(model: nn.Module, x: Tensor, y: Tensor, judged: bool) -> Tensor:
    z = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)
    adversarial = (x + EPS["linf"] * gradient.sign()).clamp(0, 1)
    return judge(model, adversarial) if judged else adversarial


def pgd_by_hand(model: nn.Module, x: Tensor, y: Tensor, norm: str, judged: bool) -> Tensor:
    eps = EPS[norm]
    step = 2.5 * eps / PGD_STEPS
    z = x
    for _ in range(PGD_STEPS):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(z), y, reduction="sum"), z)
        if norm == "linf":
            move = (z.detach() + step * gradient.sign() - x).clamp(-eps, eps)
        else:
            unit = gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
            move = z.detach() + step * unit - x
            move = move * (eps / move.flatten(1).norm(dim=1).clamp_min(eps))[:, None, None, None]
        z = (x + move).clamp(0, 1)
    return judge(model, z) if judged else z


def carlini_wagner_by_hand(model: nn.Module, x: Tensor, y: Tensor, judged: bool) -> Tensor:
    w = torch.atanh((2 * x - 1) * 0.999999).requires_grad_()
    optimizer = torch.optim.Adam([w], lr=CW_RATE)
    best, nearest = x.clone(), torch.full((len(x),), torch.inf)
    for _ in range(CW_STEPS):
        z = (torch.tanh(w) + 1) / 2
        logits = model(z)
        distance = (z - x).flatten(1).square().sum(1)
        gap = margin(logits, y)
        loss = (distance + CW_C * (-gap).clamp_min(0)).sum()
        (w.grad,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            better = (gap > 0) & (distance < nearest)
            nearest = torch.where(better, distance, nearest)
            best = torch.where(better[:, None, None, None], z, best)
        optimizer.step()
    return judge(model, best.detach()) if judged else best.detach()


def ours(model: nn.Module, x: Tensor, y: Tensor, judged: bool = True) -> dict[str, Contender]:
    attacks = {
        "FGSM": FGSM(eps=EPS["linf"]),
        "PGD linf": PGD(eps=EPS["linf"], steps=PGD_STEPS, random_start=False),
        "PGD l2": PGD(eps=EPS["l2"], norm="l2", steps=PGD_STEPS, random_start=False),
        "C&W": CarliniWagner(c=CW_C, steps=CW_STEPS, learning_rate=CW_RATE),
    }
    if judged:
        return {name: (lambda a=attack: a(model, x, y).adversarial) for name, attack in attacks.items()}
    return {name: (lambda a=attack: a.perturb(model, x, y)) for name, attack in attacks.items()}


def by_hand(model: nn.Module, x: Tensor, y: Tensor, judged: bool = True) -> dict[str, Contender]:
    return {
        "FGSM": lambda: fgsm_by_hand(model, x, y, judged),
        "PGD linf": lambda: pgd_by_hand(model, x, y, "linf", judged),
        "PGD l2": lambda: pgd_by_hand(model, x, y, "l2", judged),
        "C&W": lambda: carlini_wagner_by_hand(model, x, y, judged),
    }


def foolbox_attacks(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Contender]:
    import foolbox
    from foolbox.attacks import L2PGD, L2CarliniWagnerAttack, LinfFastGradientAttack, LinfPGD

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    share = 2.5 / PGD_STEPS
    fgsm = LinfFastGradientAttack(random_start=False)
    linf = LinfPGD(steps=PGD_STEPS, rel_stepsize=share, random_start=False)
    l2 = L2PGD(steps=PGD_STEPS, rel_stepsize=share, random_start=False)
    cw = L2CarliniWagnerAttack(
        binary_search_steps=1, steps=CW_STEPS, stepsize=CW_RATE, initial_const=CW_C, abort_early=False
    )
    return {
        "FGSM": lambda: fgsm(wrapped, x, y, epsilons=EPS["linf"])[1],
        "PGD linf": lambda: linf(wrapped, x, y, epsilons=EPS["linf"])[1],
        "PGD l2": lambda: l2(wrapped, x, y, epsilons=EPS["l2"])[1],
        "C&W": lambda: cw(wrapped, x, y, epsilons=None)[1],
    }


def torchattacks_attacks(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Contender]:
    import torchattacks

    linf = {"eps": EPS["linf"], "alpha": 2.5 * EPS["linf"] / PGD_STEPS, "steps": PGD_STEPS, "random_start": False}
    l2 = {"eps": EPS["l2"], "alpha": 2.5 * EPS["l2"] / PGD_STEPS, "steps": PGD_STEPS, "random_start": False}
    attacks = {
        "FGSM": torchattacks.FGSM(model, eps=EPS["linf"]),
        "PGD linf": torchattacks.PGD(model, **linf),
        "PGD l2": torchattacks.PGDL2(model, **l2),
        "C&W": torchattacks.CW(model, c=CW_C, kappa=0, steps=CW_STEPS, lr=CW_RATE),
    }
    return {name: (lambda a=attack: a(x, y)) for name, attack in attacks.items()}


def art_attacks(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Contender]:
    import numpy as np
    from art.attacks.evasion import CarliniL2Method, FastGradientMethod, ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), input_shape=tuple(x.shape[1:]), nb_classes=10, clip_values=(0, 1),
        device_type="cpu",
    )  # fmt: skip
    batch = {"batch_size": len(x)}
    pgd = {"max_iter": PGD_STEPS, "num_random_init": 0, "verbose": False, **batch}
    linf, l2 = EPS["linf"], EPS["l2"]
    attacks = {
        "FGSM": FastGradientMethod(wrapped, eps=linf, **batch),
        "PGD linf": ProjectedGradientDescentPyTorch(
            wrapped, norm=np.inf, eps=linf, eps_step=2.5 * linf / PGD_STEPS, **pgd
        ),
        "PGD l2": ProjectedGradientDescentPyTorch(wrapped, norm=2, eps=l2, eps_step=2.5 * l2 / PGD_STEPS, **pgd),
        "C&W": CarliniL2Method(
            wrapped, max_iter=CW_STEPS, binary_search_steps=1, initial_const=CW_C, learning_rate=CW_RATE,
            verbose=False, **batch,
        ),
    }  # fmt: skip
    images, labels = x.numpy(), y.numpy()
    return {name: (lambda a=a: torch.from_numpy(a.generate(images, labels))) for name, a in attacks.items()}


CONTENDERS = {
    "by hand": by_hand,
    "trustworthy": ours,
    "foolbox": foolbox_attacks,
    "by hand, unjudged": partial(by_hand, judged=False),
    "trustworthy, unjudged": partial(ours, judged=False),
    "torchattacks, unjudged": torchattacks_attacks,
    "ART, unjudged": art_attacks,
}


def judged(model: nn.Module, x: Tensor, y: Tensor, adversarial: Tensor, task: str) -> dict[str, float]:
    """Success and mean l2 distance of the successes, by this script's own rule."""
    tolerance = 1e-5
    move = adversarial - x
    valid = adversarial.flatten(1).isfinite().all(1) & (adversarial.flatten(1).amin(1) >= -tolerance)
    valid &= adversarial.flatten(1).amax(1) <= 1 + tolerance
    if task in ("FGSM", "PGD linf"):
        valid &= move.flatten(1).abs().amax(1) <= EPS["linf"] + tolerance
    if task == "PGD l2":
        valid &= L2().size(move) <= EPS["l2"] * (1 + tolerance)
    with torch.no_grad():
        fooled = valid & (model(adversarial).argmax(1) != y)
    distance = L2().size(move)[fooled]
    return {
        "success": fooled.double().mean().item(),
        "valid": valid.double().mean().item(),
        "mean_l2": distance.mean().item() if len(distance) else float("nan"),
    }


def trained_model(seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """A small conv net (width 16) after one epoch on 10,000 Fashion-MNIST images, and the test set."""
    data = datasets.load("fashion-mnist")
    model = SmallConvNet(channels=1, image_size=28, classes=10, width=16)
    fit(model, (data.x_train[:10_000], data.y_train[:10_000]), epochs=1, seed=seed)
    return model.eval(), torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)


def measure(rounds: int, batch: int) -> dict[str, dict]:
    model, images, labels = trained_model()
    with torch.no_grad():
        right = (model(images[: 4 * batch]).argmax(1) == labels[: 4 * batch]).nonzero().squeeze(1)[:batch]
    x, y = images[right].contiguous(), labels[right].contiguous()
    contenders = {name: make(model, x, y) for name, make in CONTENDERS.items()}
    results: dict[str, dict] = {}
    print(f"{'':10s}{'':24s}{'ratio':>8s}{'median s':>10s}{'success':>9s}{'valid':>7s}{'mean l2':>9s}")
    for task in contenders["by hand"]:
        times: dict[str, list[float]] = {name: [] for name in contenders}
        checked = {}
        for _ in range(rounds if task != "C&W" else max(2, rounds // 3)):
            for name, run in contenders.items():
                start = time.perf_counter()
                adversarial = run[task]()
                times[name].append(time.perf_counter() - start)
                checked[name] = judged(model, x, y, adversarial.detach(), task)
        results[task] = {}
        for name in contenders:
            floor = times["by hand, unjudged" if name.endswith("unjudged") else "by hand"]
            row = {
                "ratio": statistics.median(t / least for t, least in zip(times[name], floor, strict=True)),
                "median_seconds": statistics.median(times[name]),
                "rounds": len(times[name]),
                **checked[name],
            }
            results[task][name] = row
            print(
                f"{task:10s}{name:24s}{row['ratio']:8.2f}{row['median_seconds']:10.3f}{row['success']:9.3f}"
                f"{row['valid']:7.2f}{row['mean_l2']:9.3f}",
                flush=True,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "records" / "attacks.json")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    results = measure(arguments.rounds, arguments.batch)
    conditions = {"batch": arguments.batch, "eps": EPS, "pgd_steps": PGD_STEPS, "cw_steps": CW_STEPS, "cw_c": CW_C}
    with atomic_write(arguments.out) as stream:
        json.dump({"conditions": conditions, "versions": versions(), "results": results}, stream, indent=1)
        stream.write("\n")


if __name__ == "__main__":
    main()
