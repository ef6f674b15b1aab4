"""Label flips as independent coins whose probabilities are learned, eqs. (1.7) to (1.10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from trustworthy.core import checks
from trustworthy.core.adam import Adam
from trustworthy.graphs.poisoning.search import Effect, Flips, FlipSearch, Margin, Nodes, best_prefix, broken

_SPREAD = 0.5  # standard deviation of the first logits: what tells restarts apart
_PRICE_RATE = 0.03  # change of the log penalty a step, times the log of the expected flips over the budget
_FLOOR = 1e-12  # of Adam's divisor: below any gradient that saturation leaves
_LOOK_EVERY = 10  # steps between two looks at the flips that the logits stand for


@dataclass(frozen=True, kw_only=True)
class Probabilistic(FlipSearch):
    """Minimise (1.9) over flip probabilities alpha by Adam and flip the labels of the largest ones.

    The rankings by alpha are looked at on the way as well as at the end, and the best part of any, from its front, is
    returned: the whole budget if that is best.

    temperature : tau of (1.8), > 0.
    sharpness : T > 0; tanh(T margin) stands for the sign of a margin.
    penalty : lambda of `expected_loss` times the budget, >= 0. None: it is raised while more flips are expected than
        the budget allows and lowered while fewer are, which is the "proper lambda" of the dissertation.
    samples : draws of the noise a step. steps : of Adam. restarts : first logits, all trained at once.
    learning_rate : of Adam, in logits, > 0.

    Draws first logits (alpha about 1/2) and noise from `rng`. Cost a step: two products of the effects with samples *
    restarts vectors.
    """

    temperature: float = 0.5
    sharpness: float = 10.0
    penalty: float | None = None
    samples: int = 2
    steps: int = 200
    restarts: int = 8
    learning_rate: float = 0.5

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        for name in ("temperature", "sharpness", "learning_rate"):
            checks.real(name, getattr(self, name), above=0.0)
        for name in ("samples", "steps", "restarts"):
            checks.integer(name, getattr(self, name), at_least=1)
        price = 1.0 if self.penalty is None else checks.real("penalty", self.penalty, at_least=0.0)
        best = np.empty(0, np.int64)
        if budget == 0:
            return best
        margin, effect = nodes.margin, nodes.effect
        logits = _SPREAD * rng.standard_normal((self.restarts, effect.shape[1]))
        weight = np.full(self.restarts, price / budget)
        adam = Adam(learning_rate=self.learning_rate, floor=_FLOOR)
        for step in range(1, self.steps + 1):
            noise = rng.logistic(size=(self.restarts, self.samples, effect.shape[1]))
            _, gradient = expected_loss(logits, noise, margin, effect, weight, self.temperature, self.sharpness)
            adam(logits, gradient)
            if self.penalty is None:
                weight *= np.exp(_PRICE_RATE * np.clip(np.log(expit(logits).sum(axis=1) / budget), -1.0, 1.0))
            if step % _LOOK_EVERY == 0 or step == self.steps:
                best = _better(nodes, best, logits, budget)
        return best


@dataclass(frozen=True, kw_only=True)
class ReleasedProbabilistic(FlipSearch):
    """As in the code released with the dissertation; only labels whose alpha has risen above 1/2 are flipped.

    alpha itself is moved, from 1/2, by plain gradient steps of 1e-6 and kept in [0.001, 0.999]; one sample a step,
    tau = 0.2, T = 10, lambda = 0.01 on the sum over nodes. It may be worse than no flips. Draws noise from `rng`.
    """

    steps: int = 1500

    def flips(self, nodes: Nodes, budget: int, rng: np.random.Generator) -> Flips:
        margin, effect = nodes.margin, nodes.effect
        alpha, count = np.full((1, effect.shape[1]), 0.5), len(margin)
        for _ in range(checks.integer("steps", self.steps, at_least=0)):
            noise = rng.logistic(size=(1, 1, effect.shape[1]))
            _, slope = expected_loss(logit(alpha), noise, margin, effect, np.array([0.01 / count]), 0.2, 10.0)
            alpha = np.clip(alpha - 1e-6 * count * slope / (alpha * (1.0 - alpha)), 1e-3, 1.0 - 1e-3)
        ranking = np.argsort(-alpha[0], kind="stable")[:budget]
        return np.sort(ranking[alpha[0, ranking] > 0.5])


def flip_probability(
    logits: Float[np.ndarray, "*#batch labelled"], noise: Float[np.ndarray, "*#batch labelled"], temperature: float
) -> Float[np.ndarray, "*batch labelled"]:
    """The relaxed flip p = (1 - z) / 2 of (1.8): 1 where z = -1. The noise, of two Gumbel variables, is logistic.

    As printed, z = 2 / (1 + exp(u / tau)) - 1 with u = log(alpha / (1 - alpha)) + noise, so z < 0 just where u > 0, of
    probability alpha: the formula agrees with P[delta = -1] = alpha, and p is the logistic function of u / tau.
    """
    return expit((logits + noise) / temperature)


def expected_loss(
    logits: Float[np.ndarray, "restarts labelled"],
    noise: Float[np.ndarray, "restarts samples labelled"],
    margin: Margin,
    effect: Effect,
    penalty: Float[np.ndarray, " restarts"],
    temperature: float,
    sharpness: float,
) -> tuple[Float[np.ndarray, " restarts"], Float[np.ndarray, "restarts labelled"]]:
    """Equation (1.9) per node with the noise given, mean over samples, and its gradient (1.10) in the logits of alpha.

    mean of -½ (tanh(T (margin - effect p)) - 1)² + lambda / 2 ||alpha||². The mean over nodes, where (1.9) has the sum,
    puts the first term in [-2, 0] whatever their number.
    """
    restarts, samples, labelled = noise.shape
    p = flip_probability(logits[:, None], noise, temperature).reshape(-1, labelled)
    soft = np.tanh(sharpness * (margin - p @ effect.T))  # (restarts * samples, unlabelled)
    gap = soft - 1.0
    loss = -0.5 * (gap**2).mean(axis=1).reshape(restarts, samples).mean(axis=1)
    # d loss / d margin is gap (soft² - 1) T / nodes, and d margin / d p is -effect.
    pull = gap * (1.0 - soft**2)
    slope = (pull @ effect) * p * (1.0 - p) * (sharpness / temperature / len(margin))
    alpha = expit(logits)
    gradient = slope.reshape(noise.shape).mean(axis=1) + penalty[:, None] * alpha**2 * (1.0 - alpha)
    return loss + 0.5 * penalty * (alpha**2).sum(axis=1), gradient


def _better(nodes: Nodes, best: Flips, logits: Float[np.ndarray, "restarts labelled"], budget: int) -> Flips:
    """The best of some flips and the ones that each row of logits stands for; the earlier of equals."""
    rankings = np.argsort(-logits, axis=1, kind="stable")[:, :budget]
    found = [best, *(best_prefix(nodes.margin, nodes.effect, ranking) for ranking in rankings)]
    return max(found, key=lambda flips: broken(nodes.margin, nodes.effect, flips))
