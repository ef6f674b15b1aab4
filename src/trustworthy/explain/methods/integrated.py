"""Integrated gradients: the gradient along the straight way from a baseline to the example."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from trustworthy.core import checks
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(Explainer):
    """(x - b) times the mean gradient between b and x, summed over the coordinates of a feature.

    The scores of an example sum to f(x) - f(b): completeness, up to the error of the quadrature. Between two kinks of a
    network of ReLUs a gradient of its own holds: that error falls no faster than 1 / steps there.

    Parameters
    ----------
    steps : points of Gauss and Legendre on the way, >= 1.
    baseline : b, what a missing feature looks like, in the units of the input.

    Cost: `steps` gradients. Reference: Sundararajan et al. 2017; "IG" of Table 7.1, whose released code leaves out the
    factor x - b.
    """

    steps: int = 50
    baseline: Baseline = 0.0

    asks: ClassVar = "gradients"
    ranks: ClassVar = "size"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("steps", self.steps, at_least=1)

    def explain(self, question: Question) -> Scored:
        x = question.x
        nodes, weights = (torch.as_tensor(part).to(x) for part in quadrature(self.steps))
        start, every = question.without(self.baseline), torch.arange(len(x), device=x.device)
        way, mean = x - start, torch.zeros_like(x)
        for some in question.in_turn(self.steps):
            points = start + nodes[some].reshape(-1, *[1] * x.ndim) * way  # (some, n, *shape)
            gradient, _ = question.gradients(points.flatten(0, 1), every.repeat(len(some)))
            mean += torch.tensordot(weights[some], gradient.reshape(points.shape), dims=1)
        return Scored(question.groups.summed(way * mean))


@functools.cache
def quadrature(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) of Gauss and Legendre, and their weights. To find them takes as long as some passes."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2
