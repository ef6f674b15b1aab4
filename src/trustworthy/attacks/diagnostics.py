"""Can an evaluation by attacks be believed? Signs that an attack failed because of itself, not because of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from scipy.special import bdtrc
from torch import Tensor

from trustworthy.attacks.attack import BudgetAttack
from trustworthy.attacks.evaluate import Advance, as_numpy, batches, check_examples, is_correct, silent, taken
from trustworthy.attacks.goal import Goal
from trustworthy.attacks.pgd import PGD
from trustworthy.attacks.problem import Problem
from trustworthy.attacks.square import SquareAttack
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, NothingToAttackError
from trustworthy.core.grid import Grid
from trustworthy.core.norms import L1
from trustworthy.core.protocols import AnyClassifier, drawn
from trustworthy.core.result import Array

ERROR_RATE = 0.01
"""Of each check on a share of the examples: how often it fails at most where that share is tolerable."""


@dataclass(frozen=True)
class Check:
    """One sign of trouble, looked for.

    name : identifier of the trouble.
    passed : whether it was not found.
    value : what was measured, a share of examples unless `explanation` says otherwise.
    explanation : what the value means, in plain words, and what to do where the check failed.
    """

    name: str
    passed: bool
    value: float
    explanation: str


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one evaluation."""

    checks: tuple[Check, ...]

    @property
    def believable(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that found trouble."""
        return tuple(check for check in self.checks if not check.passed)

    def __getitem__(self, name: str) -> Check:
        """The check called `name`."""
        return checks.choice("check", name, {check.name: check for check in self.checks})


def diagnose(
    model: AnyClassifier,
    x: Array,
    y: Array,
    *,
    attack: PGD | None = None,
    queries: int = 500,
    tolerance: float = 0.02,
    free: Array | None = None,
    grid: Grid | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    advance: Advance = silent,
) -> Diagnosis:
    """Look for signs that the accuracy of `model` under `attack` overstates its robustness.

    Meant for a few hundred examples; only those that the model classifies rightly are used. The checks, by name:

    - randomised_output: two answers to one input differ, and the attack averages no draws.
    - probabilities: the outputs are probabilities, not logits.
    - zero_gradients: the gradient of the margin vanishes.
    - saturated_gradients: softmax rounds to certainty, so that cross entropy loses its gradient.
    - loss_not_increasing: the loss does not grow with the radius.
    - unbounded_survives: an attack that may change the input into any other does not break everything (left out where
      not all is free, or there are neither bounds nor inputs of two classes to say how far that is).
    - more_steps_gain, more_restarts_gain: five times the steps, or four random starts, break more.
    - black_box_wins: SquareAttack, which sees scores alone, breaks what the gradient could not (l2 and linf).

    Parameters
    ----------
    model, x, y, free, grid, generator : see `Attack.__call__`.
    attack : the attack to diagnose; None for PGD(eps=8 / 255).
    queries : steps of the SquareAttack.
    tolerance : share of examples that may show trouble. A check fails where so many of them do that, were the share
        just tolerated, it would happen with a probability of at most `ERROR_RATE` (one-sided exact binomial test).
    batch_size : examples attacked at once.
    advance : called after each check with the share of the checks that is done, up to 1.

    Cost: about 12 times `attack`, `unbounded_survives` taking at least 50 steps, and `queries` forward passes on what
    it did not break. Random: starts and windows. Reference: Carlini et al. 2019; Croce and Hein 2020.
    """
    checks.real("tolerance", tolerance, at_least=0.0, at_most=1.0)
    attack = PGD(eps=8 / 255) if attack is None else attack
    if not isinstance(attack.eps, float | int):
        raise InvalidInput("eps of the attack must be one radius, got a tensor.")
    check_examples(x, y, attack.bounds, free)
    right = is_correct(model, attack, x, y, generator=generator, batch_size=batch_size)
    if not right.any():
        raise NothingToAttackError(f"x must hold examples that the model classifies rightly, got none of {len(right)}.")
    rows, widest = np.flatnonzero(right), diameter(x, y, attack) if free is None else None
    given = {"free": taken(free, rows), "grid": grid}
    examination = _Examination(model, x[rows], y[rows], attack, widest, tolerance, generator, batch_size, **given)
    found: list[Check] = []
    for check in examination.run(queries):
        found.append(check)
        advance(len(found) / examination.count)
    return Diagnosis(tuple(found))


def diameter(x: Array, y: Array, attack: PGD) -> float | None:
    """A radius within which any input can become any other.

    Without bounds the inputs themselves must say how far apart inputs are; None where they are all of one class, and
    say nothing of the way to another.
    """
    inputs = torch.as_tensor(x)
    if attack.bounds is not None:
        low, high = attack.bounds
        return float(attack.geometry.size(torch.full_like(inputs[:1], high - low)))
    if len(np.unique(as_numpy(y))) < 2:
        return None
    return 2 * float(attack.geometry.size(inputs - inputs.mean(0)).max()) or None


@dataclass(frozen=True)
class _Examination:
    """The checks on the examples that the model classifies rightly."""

    model: AnyClassifier
    x: Array
    y: Array
    attack: PGD
    diameter: float | None
    tolerance: float
    generator: torch.Generator | None
    batch_size: int
    free: Array | None = None
    grid: Grid | None = None

    @property
    def count(self) -> int:
        return 7 + (not isinstance(self.attack.geometry, L1)) + (self.diameter is not None)

    def run(self, queries: int) -> Iterator[Check]:
        yield from self.output()
        yield from self.gradients()
        yield self.loss_along_radius()
        if self.diameter is not None:
            yield self.unbounded(self.diameter)
        yield from self.stronger(queries)

    def check(self, name: str, share: float) -> Check:
        """A check on a share of the examples, which fails where chance would hardly lift the tolerance so far."""
        n, (meaning, remedy) = len(self.x), WORDS[name]
        count = round(share * n)
        passed = count == 0 or bool(bdtrc(count - 1, n, self.tolerance) > ERROR_RATE)
        said = f"{meaning.format(share)} ({count} of {n})."
        if not passed:
            said += f" {remedy}"
        elif share > self.tolerance:
            said += f" So few examples may be chance: up to {self.tolerance:.0%} is tolerated."
        return Check(name, passed, share, said)

    def problems(self, loss: str) -> Iterator[Problem]:
        asked = replace(self.attack, loss=loss)
        for rows in batches(np.arange(len(self.x)), self.batch_size):
            with asked.pose(self.model, self.x[rows], self.y[rows], **self.how(rows)) as problem:
                yield problem

    def how(self, rows: np.ndarray) -> dict[str, Any]:
        """What an attack on `rows` is given beside them."""
        return {"free": taken(self.free, rows), "grid": self.grid, "generator": self.generator}

    def share(self, loss: str, marked: Callable[[Problem], Tensor]) -> float:
        """Of all examples, those that are marked in the problem of maximising `loss`."""
        return _mean([marked(problem) for problem in self.problems(loss)])

    def survivors(self, attack: BudgetAttack, rows: np.ndarray | None = None) -> np.ndarray:
        """Which of `rows`, of all examples if None, `attack` does not break."""
        rows, kept = np.arange(len(self.x)) if rows is None else rows, []
        for part in batches(rows, self.batch_size):
            found = attack(self.model, self.x[part], self.y[part], **self.how(part))
            kept.append(part[~as_numpy(found.success)])
        return np.concatenate([rows[:0], *kept])

    def output(self) -> Iterator[Check]:
        changed, simplex = [], []
        for problem in self.problems("ce"):
            with torch.no_grad():
                first, second = (problem.logits(draw, problem.asked(problem.x)) for draw in drawn(problem.posterior, 2))
            scale = first.abs().amax(1).clamp_min(1.0)
            changed.append((first - second).abs().amax(1) > 1e-4 * scale)
            simplex.append((first >= 0).all(1) & ((first.sum(1) - 1).abs() < 1e-3))
        yield self.check("randomised_output", 0.0 if self.attack.eot > 1 else _mean(changed))
        yield self.check("probabilities", _mean(simplex))

    def gradients(self) -> Iterator[Check]:
        def vanishes(problem: Problem) -> Tensor:
            return problem.ascent(problem.x)[0].flatten(1).abs().amax(1) == 0

        def is_certain(problem: Problem) -> Tensor:
            y = cast("Goal", problem.goal).y
            return problem.scores(problem.x).softmax(1).gather(1, y[:, None]).squeeze(1) == 1

        yield self.check("zero_gradients", self.share("margin", vanishes))
        certain = self.share("ce", is_certain)
        yield self.check("saturated_gradients", certain if self.attack.loss == "ce" else 0.0)

    def loss_along_radius(self) -> Check:
        means = []
        for scale in (0.0, 0.25, 0.5, 1.0):
            weaker = replace(self.attack, eps=self.attack.eps * scale)
            total = 0.0
            for problem in self.problems(self.attack.loss):
                adversarial = weaker.search(problem, self.generator) if scale else problem.x
                total += float(problem.appraise(adversarial)[0].sum())
            means.append(total / len(self.x))
        gains = np.diff(means)
        span = max(means) - min(means)
        passed = bool(span > 0 and (gains >= -1e-3 * span).all() and means[-1] > means[0])
        explanation = (
            f"the mean loss is {', '.join(f'{mean:.4g}' for mean in means)} at 0, 1/4, 1/2 and 1 times the radius; "
            "the value is its smallest rise."
        )
        if not passed:
            explanation += " A larger ball holds the smaller one, so the attack is lost: change step size or loss."
        return Check("loss_not_increasing", passed, float(gains.min()), explanation)

    def unbounded(self, radius: float) -> Check:
        widest = replace(self.attack, eps=radius, steps=max(50, self.attack.steps), step_size=None)
        return self.check("unbounded_survives", len(self.survivors(widest)) / len(self.x))

    def stronger(self, queries: int) -> Iterator[Check]:
        attack, survivors = self.attack, self.survivors(self.attack)
        rivals: dict[str, BudgetAttack] = {
            "more_steps_gain": replace(attack, steps=5 * attack.steps),
            "more_restarts_gain": replace(attack, restarts=4, random_start=True),
        }
        if not isinstance(attack.geometry, L1):  # SquareAttack does not search in l1
            shared = {name: getattr(attack, name) for name in ("eps", "norm", "bounds", "eot")}
            rivals["black_box_wins"] = SquareAttack(steps=queries, **shared)
        unbroken = survivors
        for name, rival in rivals.items():
            # Random search must beat every gradient attack, not only the one that lacks steps or restarts.
            asked = unbroken if isinstance(rival, SquareAttack) else survivors
            left = self.survivors(rival, asked)
            unbroken = np.intersect1d(unbroken, left)
            yield self.check(name, (len(asked) - len(left)) / len(self.x))


WORDS = {
    "randomised_output": (
        "two answers to the same input differ for {:.1%} of the examples beyond what the attack averages",
        "Attack the expectation: set eot to 10 or more, and judge predictions by the mean of many draws.",
    ),
    "probabilities": (
        "the outputs of {:.1%} of the examples are non-negative and sum to one",
        "They look like probabilities: return logits, without a final softmax, or gradients vanish for confident "
        "predictions.",
    ),
    "zero_gradients": (
        "the gradient of the margin is exactly zero for {:.1%} of the examples",
        "Something in the model (rounding, a hard threshold, dead units) hides the gradient: replace it by a smooth "
        "surrogate in the backward pass, or trust only SquareAttack and BoundaryAttack.",
    ),
    "saturated_gradients": (
        "softmax rounds to certainty, and cross entropy loses its gradient, for {:.1%} of the examples",
        'Attack with loss="margin" or "dlr", which do not saturate, or in float64.',
    ),
    "unbounded_survives": (
        "{:.1%} of the examples survive an attack that may turn an input into any other",
        "No model can withstand that, so the attack does not work on this model: gradients are masked or the loss is "
        "wrong.",
    ),
    "more_steps_gain": (
        "five times the steps break {:.1%} of the examples that the attack did not",
        "The attack has not converged: raise its steps until the accuracy stops falling.",
    ),
    "more_restarts_gain": (
        "four random starts break {:.1%} of the examples that the attack did not",
        "The loss has many local maxima: raise restarts until the accuracy stops falling.",
    ),
    "black_box_wins": (
        "an attack without gradients breaks {:.1%} of the examples that no gradient attack did",
        "Gradients mislead the attack (masking): report the worst case over both, and look for rounding, randomness "
        "or saturation in the model.",
    ),
}
"""What the share of each check means, and what to do where it is too large."""


def _mean(marks: list[Tensor]) -> float:
    return float(torch.cat(marks).double().mean())
