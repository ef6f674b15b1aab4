"""Path methods: gradients along the straight way from one baseline to the example, or from many."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from trustworthy.core import checks
from trustworthy.core.inputs import Array
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored, as_background, as_baseline


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


@dataclass(frozen=True, kw_only=True)
class ExpectedGradients(Explainer):
    """Mean of (x - b) times the gradient at b + a (x - b), over examples b of the background and a uniform in [0, 1].

    The scores of an example sum, in expectation, to f(x) less the mean of f over the background. Also known as gradient
    SHAP.

    Parameters
    ----------
    samples : pairs of b and a, >= 2.
    background : examples (m, *shape), such as training data; None for the baseline alone.
    baseline : b without a background, in the units of the input.

    Cost: `samples` gradients. Random: b and a, drawn for each example apart. Reference: Erion et al. 2021; "EG" of
    Table 7.1.
    """

    samples: int = 200
    background: Array | None = field(default=None, repr=False)
    baseline: Baseline = 0.0

    asks: ClassVar = "gradients"
    ranks: ClassVar = "size"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("samples", self.samples, at_least=2)

    def explain(self, question: Question) -> Scored:
        x, draw = question.x, {"generator": question.generator, "device": question.x.device}
        given, rows = self.background, torch.arange(len(x), device=x.device)
        background = as_baseline(self.baseline, x) if given is None else as_background(given, x)
        middle, total, squares = None, torch.zeros(()), torch.zeros(())
        for some in question.in_turn(self.samples):
            shape = (len(some), len(x))
            start = question.replaced(background[torch.randint(len(background), shape, **draw)])
            way = x - start
            share = torch.rand(shape, **draw, dtype=x.dtype).reshape(*shape, *[1] * (x.ndim - 1))
            whose = rows.repeat(len(some))
            gradient, _ = question.gradients((start + share * way).flatten(0, 1), whose)
            found = question.groups.rows(whose).summed(gradient * way.flatten(0, 1)).reshape(*shape, -1)
            middle = found.mean(0) if middle is None else middle  # near the mean, so that no digit of squares is lost
            moved = found - middle
            total = total + moved.sum(0)
            squares = squares + moved.square_().sum(0)
        assert middle is not None
        mean = total / self.samples
        error = ((squares / self.samples - mean.square()).clamp_min(0.0) / (self.samples - 1)).sqrt()
        return Scored(middle + mean, error)
