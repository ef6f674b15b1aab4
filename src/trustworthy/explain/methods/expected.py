"""Expected gradients: integrated gradients from many baselines, one random point of the way from each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from trustworthy.core import checks
from trustworthy.core.inputs import Array
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored, as_background, as_baseline


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
