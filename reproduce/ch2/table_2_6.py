"""Table 2.6: accuracy of neural equations on corrupted images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reproduce import intervals
from reproduce.ch2.attacked import is_right
from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy import datasets
from trustworthy.core.seeds import numpy_generator, torch_generator
from trustworthy.datasets.corruptions import CORRUPTIONS

LEVELS = (1, 2, 3, 4, 5)


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set and method."""
    return [f"{head}.{method}" for head in options["heads"] for method in options["methods"]]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Mean accuracy over the corruptions at each level; the interval is over the images."""
    head, _, method = cell.partition(".")
    entry, options = setting.options["heads"][head], setting.options
    scale, about = options["budget"], {"corruptions": options["corruptions"] or list(CORRUPTIONS)}
    spec = Spec(scale=scale, data=entry["data"], network=entry["network"], method=method, seed=setting.seed)
    draws = BUDGETS[scale]["draws"]
    measured = []
    for level in LEVELS:
        right = kept(_right)(
            spec,
            spec.budget,
            entry.get("published", ""),
            about["corruptions"],
            level,
            options["points"],
            draws,
            digest(evaluation=True),
        )
        measured.append(intervals.mean(f"{cell}@{level}", right, **about))
        setting.tell(level / len(LEVELS))
    return measured


def _right(
    spec: Spec, budget: dict[str, Any], published: str, names: list[str], level: int, points: int, draws: int, code: str
) -> np.ndarray:
    """Share of the corruptions under which an image is classified rightly, (n,).

    published : set of corrupted images of the authors; "" for test images that are corrupted here, before they are
        brought to the size of the network.
    """
    net, generator = model(spec), torch_generator(spec.seed, "corrupted", level)
    found = []
    for name in names:
        if published:
            rows = datasets.load(f"{published}/{name}/{level}")
            x, y = torch.from_numpy(rows.x_test), torch.from_numpy(rows.y_test)
        else:
            rows = spec.tested(points)
            x, y = datasets.corrupt(rows.test_x, name, level, numpy_generator(0, name, level)), rows.test_y
        found.append(is_right(net, x, y, draws, generator))
    return np.mean(found, axis=0)
