"""Sets of classes that hold the true one with a probability that was asked for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.extras import required
from trustworthy.core.predictive import Predictive
from trustworthy.core.seeds import derived_seed, numpy_generator
from trustworthy.metrics import inputs
from trustworthy.uncertainty.conformal.given import AsEstimator, enough

Probabilities = Float[np.ndarray, "n classes"]
Rule = Callable[[Probabilities], Bool[np.ndarray, "n classes"]]

CHUNK = 2**24
"""Probabilities for which sets are made at once: MAPIE makes several arrays as large as all it is asked about."""


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """For each row the classes that are plausible: members (n, classes). level : how often the true one is among them.

    A set of one class is an answer; several classes, or none, are a case for a person.
    """

    members: Bool[np.ndarray, "n classes"]
    level: float

    @property
    def size(self) -> Int[np.ndarray, " n"]:
        """Number of classes in each set."""
        return self.members.sum(1)

    def covered(self, labels: ArrayLike) -> Bool[np.ndarray, " n"]:
        """Whether the set of each row holds its label."""
        y = inputs.class_labels("labels", labels, self.members.shape[1])
        inputs.same_length(members=self.members, labels=y)
        return self.members[np.arange(len(y)), y]


@dataclass(frozen=True, eq=False)
class CalibratedSets:
    """Gives sets for the probabilities (n, classes) of new rows, or for their `Predictive`.

    Randomised sets of a second call differ from those of the first: they go on in one stream of random numbers.
    """

    level: float
    classes: int
    rule: Rule = field(repr=False)

    def __call__(self, probabilities: ArrayLike | Predictive) -> PredictionSets:
        """The sets of new rows."""
        p = _probabilities(probabilities)
        if p.shape[1] != self.classes:
            raise InvalidInput(f"probabilities must have {self.classes} classes as in calibration, got {p.shape[1]}.")
        parts = np.array_split(p, -(-p.size // CHUNK))
        return PredictionSets(np.concatenate([self.rule(part) for part in parts]), self.level)


def calibrate_sets(
    probabilities: ArrayLike | Predictive,
    labels: ArrayLike,
    *,
    level: float = 0.9,
    score: str = "aps",
    randomized: bool = True,
    by_class: bool = False,
    seed: int = 0,
) -> CalibratedSets:
    """Find how much probability a set must gather to hold the true class with probability `level`.

    The probability is over calibration and new rows together, P(label in set) >= level; with `by_class` it is that
    of each class, P(label in set | label = k) >= level for all k: a rare class is not paid for by the others.

    Marginal sets are MAPIE's (extra `conformal`). Its class-conditional ones solve a linear program for each new row
    and need CVXPY, where a quantile for each class suffices: those are computed here.

    Parameters
    ----------
    probabilities : (n, classes), each row sums to one; or a `Predictive`, whose mean probabilities are taken.
    labels : (n,) true classes. level : in (0, 1).
    score : "aps", adaptive: classes from the most likely down until enough probability is gathered, so that difficult
        rows have larger sets; "lac": classes above one probability, the smallest sets on average.
    randomized : of "aps": whether the last class of a set is left out at random, which makes the coverage exactly
        `level` and some sets empty. Otherwise sets are larger than need be and never empty.
    seed : of the random numbers. Calibration of "aps" uses them too.

    Raises
    ------
    InvalidInput
        Where there are fewer rows, with `by_class` in any class, than the level needs; says how many.
    MissingPackage
        Without MAPIE, for marginal sets.

    References
    ----------
    Romano et al., "Classification with valid and adaptive coverage", 2020 (APS); Sadinle et al., "Least ambiguous
    set-valued classifiers with bounded error levels", 2019 (LAC); Vovk, "Conditional validity of inductive conformal
    predictors", 2012 (a quantile for each class).
    """
    p = _probabilities(probabilities)
    y = inputs.class_labels("labels", labels, p.shape[1])
    inputs.same_length(probabilities=p, labels=y)
    checks.choice("score", score, SCORES)
    make = _by_class if by_class else _marginal
    return CalibratedSets(level, p.shape[1], make(p, y, level, score, randomized, seed))


def _probabilities(given: ArrayLike | Predictive) -> Probabilities:
    p = inputs.probabilities("probabilities", given.probabilities if isinstance(given, Predictive) else given)
    return p / p.sum(1, keepdims=True)


def _marginal(p: Probabilities, y: np.ndarray, level: float, score: str, randomized: bool, seed: int) -> Rule:
    enough(len(y), level)
    if score == "aps" and len(np.unique(y)) < 3:
        raise InvalidInput(
            "score='aps' needs three classes among the labels (MAPIE); take score='lac', or by_class=True."
        )
    random = np.random.RandomState(derived_seed(seed, "sets") % 2**32)  # one stream: a seed would begin again each time
    split = required("mapie.classification", "conformal sets").SplitConformalClassifier(
        AsEstimator(p.shape[1]), confidence_level=level, conformity_score=score, random_state=random
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*less labels")  # the marginal guarantee holds for classes not seen, too
        split.conformalize(p, y)
    last = {"include_last_label": "randomized" if randomized else True}

    def rule(new: Probabilities) -> Bool[np.ndarray, "n classes"]:
        with np.errstate(divide="ignore", invalid="ignore"):  # the last class of a set may have probability 0
            return split.predict_set(new, conformity_score_params=last)[1][..., 0]

    return rule


def _by_class(p: Probabilities, y: np.ndarray, level: float, score: str, randomized: bool, seed: int) -> Rule:
    counts = np.bincount(y, minlength=p.shape[1])
    enough(int(counts.min()), level, f" of each class (here of class {counts.argmin()})")
    generator = numpy_generator(seed, "sets")
    scores = SCORES[score](p, generator.random(len(p)))[np.arange(len(y)), y]
    ranks = [math.ceil((count + 1) * level - 1e-9) for count in counts]
    quantiles = np.array([np.sort(scores[y == k])[rank - 1] for k, rank in enumerate(ranks)])

    def rule(new: Probabilities) -> Bool[np.ndarray, "n classes"]:
        u = generator.random(len(new)) if randomized else np.zeros(len(new))
        return SCORES[score](new, u) <= quantiles

    return rule


def _aps(p: Probabilities, u: Float[np.ndarray, " n"]) -> Probabilities:
    """Of each class, the probability of all that are more likely and the share `u` of its own."""
    order = np.argsort(-p, axis=1, kind="stable")
    ordered = np.take_along_axis(p, order, 1)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, ordered.cumsum(1) - (1.0 - u[:, None]) * ordered, 1)
    return scores


SCORES = {"aps": _aps, "lac": lambda p, u: 1.0 - p}
