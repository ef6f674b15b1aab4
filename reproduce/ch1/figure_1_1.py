"""Figure 1.1: one flipped label turns a whole region."""

from __future__ import annotations

from typing import Any

import numpy as np

from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.graphs import LabelPropagation
from trustworthy.graphs.poisoning import ClassificationLabelAttack

LABELLED = [[0.0, 0.0], [-2.6, 1.1], [-2.9, -0.6], [2.4, 1.2], [2.8, -0.3], [2.2, -1.4]]
LABELS = [1, 1, 1, 0, 0, 0]
"""Classes 1 (positive) and 0 (negative); the first is node i."""
SHADED = [[0.5, 0.4], [0.6, -0.3], [0.1, 0.7]]
OTHERS = [[-2.2, 0.4], [-3.2, 0.3], [-2.4, -1.2], [2.1, 0.5], [3.1, 0.7], [2.9, -1.2], [1.9, -0.6]]
"""Unlabelled nodes: those near node i alone, and those near other labels."""


def cells(options: dict[str, Any]) -> list[str]:
    """One cell."""
    return ["toy"]


def measure(cell: str, setting: Setting) -> list[Measured]:
    """How many nodes turn, in the shaded region and beyond, where the strongest flip is made."""
    gamma, known = setting.options["gamma"], len(LABELLED)
    points = np.array([*LABELLED, *SHADED, *OTHERS])
    marked = np.array([*LABELS, *[-1] * (len(points) - known)])
    before = _predicted(points, marked, gamma)
    strongest = ClassificationLabelAttack(budget=1, method="exhaustive", knowledge="estimated")
    flip = int(strongest(LabelPropagation(gamma=gamma), points, marked).flipped[0])
    turned = [_predicted(points, _flipped(marked, node), gamma) != before for node in range(known)]
    shaded = np.isin(np.arange(len(before)), np.arange(len(SHADED)))
    pictures = {
        "points": points.tolist(),
        "labelled": known,
        "shaded": list(range(known, known + len(SHADED))),
        "flipped": flip,
        "before": [*LABELS, *before.tolist()],
        "after": [
            *_flipped(marked, flip)[:known].tolist(),
            *_predicted(points, _flipped(marked, flip), gamma).tolist(),
        ],
    }
    return [
        Measured(name="toy.flipped-node", value=flip, conditions=pictures),
        Measured(name="toy.turned-shaded", value=int(turned[flip][shaded].sum())),
        Measured(name="toy.turned-beyond", value=int(turned[flip][~shaded].sum())),
        Measured(name="toy.turned", value=int(turned[flip].sum())),
        Measured(
            name="toy.turned-by-another", value=max(int(turned[node].sum()) for node in range(known) if node != flip)
        ),
    ]


def _predicted(points: np.ndarray, marked: np.ndarray, gamma: float) -> np.ndarray:
    """Classes of the unlabelled nodes."""
    return LabelPropagation(gamma=gamma).fit(points, marked).transduction_[marked == -1]


def _flipped(marked: np.ndarray, node: int) -> np.ndarray:
    labels = marked.copy()
    labels[node] = 1 - labels[node]
    return labels
