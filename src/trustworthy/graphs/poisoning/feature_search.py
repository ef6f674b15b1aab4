"""Search for the features that ruin the predictions most, within a ball and with few rows changed (R2 of eq. 1.2).

`FeatureAttack` calls `ascend` with the rows and their loss; moved rows come out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning.feature_gradient import Evaluation

_FIRST = 0.25  # first step, in radii
_GROWTH = 1.5  # of the step after one that helped; one that did not is halved
_SMALLEST = 1e-3  # step, in radii, below which the search starts anew
_START = 0.1  # size of a random start, in radii

Judge = Callable[[Float[np.ndarray, " n_u"]], float]
"""Scores (n_u,) to the true error, which need not be smooth."""


def ascend(
    x: Float[np.ndarray, "n_l d"],
    at: Callable[[Float[np.ndarray, "n_l d"]], Evaluation],
    judge: Judge,
    *,
    radius: float,
    rows: int | None = None,
    steps: int,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "n_l d"], float]:
    """Labelled rows x + Δ that raise the loss, with |Δ|_F <= radius and at most `rows` rows of Δ that are not zero.

    Projected steepest ascent by normalised steps: one that raises the loss is kept and the next is longer, else the
    next is half as long. The first run starts at Δ = 0, and once its steps have become small another one starts at a
    small random Δ. With `rows`, half of the steps move all rows; then the longest rows of the Δ of highest loss are
    kept, and the other half moves these alone.

    x : labelled rows. at : the loss of such rows; it raises InvalidInput where the graph falls apart.
    judge : the error that counts; of all features that were tried the worst by it is returned, x itself included.
    radius : in the units of the features, >= 0.
    steps : evaluations of the gradient; one more is made at x.

    Returns the features (n_l, d) and their error. Random are the starts, by `rng`. Cost: n_u³ / 3 a step.
    """
    search = _Search(lambda delta: at(x + delta), judge, radius, rng, np.zeros_like(x))
    count = len(x) if rows is None else min(rows, len(x))
    if radius > 0 and count > 0:
        all_move = steps if count == len(x) else steps // 2
        search.run(all_move)
        if all_move < steps:
            search.keep_longest(count)
            search.run(steps - all_move)
    return x + search.worst, search.error


@dataclass
class _Search:
    """The Δ of highest loss (`delta`), the rows that may move, and the worst allowed Δ by the judge."""

    at: Callable[[Float[np.ndarray, "n_l d"]], Evaluation]
    judge: Judge
    radius: float
    rng: np.random.Generator
    delta: Float[np.ndarray, "n_l d"]

    def __post_init__(self) -> None:
        self.free: Bool[np.ndarray, " n_l"] = np.ones(len(self.delta), dtype=bool)
        self._begin()

    def _begin(self) -> None:
        """Forget all Δ but 0."""
        self.worst = self.delta = np.zeros_like(self.delta)
        self.here = self.at(self.delta)
        self.highest, self.error = self.here.value, self.judge(self.here.scores)

    def run(self, steps: int) -> None:
        """Climb from the Δ at hand, and from random ones once that has come to its end."""
        delta, here, step = self.delta, self.here, _FIRST * self.radius
        for _ in range(steps):
            gradient = here.gradient * self.free[:, None]
            length = np.linalg.norm(gradient)
            fresh = length == 0.0 or step < _SMALLEST * self.radius
            trial = self._random() if fresh else delta + step * gradient / length
            if not fresh:
                trial *= min(1.0, self.radius / max(float(np.linalg.norm(trial)), 1e-300))
            there = self._tried(trial)
            if there is None:
                step /= 2
            elif fresh:
                delta, here, step = trial, there, _FIRST * self.radius
            elif there.value > here.value:
                delta, here, step = trial, there, min(_GROWTH * step, 2 * self.radius)
            else:
                step /= 2

    def keep_longest(self, rows: int) -> None:
        """Move no rows but the `rows` longest ones of Δ from now on, and start from these, drawn out to the ball."""
        longest = np.argsort(-np.linalg.norm(self.delta, axis=1), kind="stable")[:rows]
        self.free = np.isin(np.arange(len(self.delta)), longest)
        kept = self.delta * self.free[:, None]
        length = np.linalg.norm(kept)
        self._begin()
        if length > 0.0:
            self._tried(kept * (self.radius / length))

    def _tried(self, delta: Float[np.ndarray, "n_l d"]) -> Evaluation | None:
        """Evaluate and remember; None where the graph falls apart."""
        try:
            there = self.at(delta)
        except InvalidInput:
            return None
        if there.value > self.highest:
            self.highest, self.delta, self.here = there.value, delta, there
        error = self.judge(there.scores)
        if error > self.error:
            self.error, self.worst = error, delta
        return there

    def _random(self) -> Float[np.ndarray, "n_l d"]:
        drawn = self.rng.normal(size=self.delta.shape) * self.free[:, None]
        return drawn * (_START * self.radius / np.linalg.norm(drawn))
