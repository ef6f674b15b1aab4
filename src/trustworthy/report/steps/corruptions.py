"""Accuracy under the corruptions that happen without an adversary."""

from __future__ import annotations

import numpy as np
import torch

from trustworthy.report.examples import Examples
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.verdicts import verdict


def corruptions(case: Case) -> Measured:
    """Accuracy under each of the 15 corruptions at each severity of the plan."""
    from trustworthy.datasets.corruptions import CORRUPTIONS

    _check_applicable(case.examples)
    plan = case.plan.corruptions
    rows = torch.from_numpy(case.sample("corruptions", plan.rows))
    x, y = case.examples.x[rows], case.examples.y[rows].numpy()
    scale = "imagenet-c" if min(x.shape[2:]) >= 128 else "cifar10-c"
    correct = np.zeros((len(CORRUPTIONS), len(plan.severities), len(rows)), dtype=bool)
    for i, name in enumerate(CORRUPTIONS):
        for j, severity in enumerate(plan.severities):
            correct[i, j] = case.classify(corrupted(case, x, name, severity, scale)) == y
            case.advance((i * len(plan.severities) + j + 1) / correct[..., 0].size)
    clean = float(case.correct[rows.numpy()].mean())
    value = float(correct.mean())
    hardest = list(CORRUPTIONS)[int(correct.mean(axis=(1, 2)).argmin())]
    return Measured([
        case.finding(
            "robustness.corruptions",
            value,
            interval=case.interval("corruptions", np.mean, correct.mean(axis=(0, 1))),
            property="robustness",
            kind="corruptions",
            title="Accuracy under common corruptions",
            headline=True,
            verdict=verdict("robustness.corruptions", value / clean if clean else None),
            statement=f"Over 15 corruptions at severities {', '.join(map(str, plan.severities))} accuracy is "
            f"{value:.1%} on average, {clean:.1%} without; the hardest is {hardest.replace('_', ' ')} "
            f"({correct.mean(axis=(1, 2)).min():.1%}).",
            higher_is_better=True,
            series={
                "clean": clean,
                "names": list(CORRUPTIONS),
                "groups": list(CORRUPTIONS.values()),
                "severities": plan.severities,
                "accuracy": correct.mean(axis=2).tolist(),
            },
            conditions={"n": len(rows), "scale": scale, "severities": plan.severities},
        )
    ])  # fmt: skip


def corrupted(case: Case, x: torch.Tensor, name: str, severity: int, scale: str) -> torch.Tensor:
    """`x` under one corruption; the same for every model, so that models are compared on the same images."""
    from trustworthy.core import seeds
    from trustworthy.datasets.corruptions import corrupt

    return corrupt(x, name, severity, seeds.numpy_generator(case.seed, "corruptions", name, severity), scale=scale)


def _check_applicable(examples: Examples) -> None:
    if examples.domain.kind != "image":
        raise NotApplicable("the corruptions are defined for images, the data are a table.")
    channels, *sides = examples.x.shape[1:]
    if channels not in (1, 3) or min(sides) < 8:
        raise NotApplicable(
            "the corruptions are defined for images of 1 or 3 channels from 8 pixels up, "
            f"got {tuple(examples.x.shape[1:])}."
        )
