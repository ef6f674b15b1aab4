"""Expected gradients: integrated gradients from many baselines, one random point of the way from each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.inputs import Array, as_batch
from trustworthy.explain.explainer import Baseline, Explainer, Question, Scored, as_baseline


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
        background, running = self._background(x), Running()
        rows = torch.arange(len(x), device=x.device)
        for some in question.in_turn(self.samples):
            shape = (len(some), len(x))
            start = question.replaced(background[torch.randint(len(background), shape, **draw)])
            way = x - start
            share = torch.rand(shape, **draw, dtype=x.dtype).reshape(*shape, *[1] * (x.ndim - 1))
            whose = rows.repeat(len(some))
            gradient, _ = question.gradients((start + share * way).flatten(0, 1), whose)
            running.add(question.groups.rows(whose).summed(gradient * way.flatten(0, 1)).reshape(*shape, -1))
        return Scored(running.mean, running.error)

    def _background(self, x: Tensor) -> Tensor:
        if self.background is None:
            return as_baseline(self.baseline, x)
        background = as_batch(self.background, None, "background").to(x)
        if background.shape[1:] != x.shape[1:]:
            raise InvalidInput(
                f"background must hold examples of the shape {tuple(x.shape[1:])} of those of x, got "
                f"{tuple(background.shape)}."
            )
        return background


class Running:
    """Mean and standard error of samples (some, *values) that come in parts (Chan et al. 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, samples: Float[Tensor, "some *values"]) -> None:
        """Take in a part."""
        mean = samples.mean(0)
        squares = (samples - mean).square_().sum(0)  # var_mean along the first axis takes several times as long
        if self.count == 0:
            self.count, self.mean, self.squares = len(samples), mean, squares
            return
        total, shift = self.count + len(samples), mean - self.mean
        self.squares = self.squares + squares + shift.square() * (self.count * len(samples) / total)
        self.mean = self.mean + shift * (len(samples) / total)
        self.count = total

    @property
    def error(self) -> Float[Tensor, "*values"]:
        """Standard error of the mean."""
        return (self.squares / (self.count * (self.count - 1))).sqrt()
