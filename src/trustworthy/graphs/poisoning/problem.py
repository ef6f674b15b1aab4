"""A poisoning problem in numbers: what the learner does with labels, what the attacker wants, what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_consistent_length

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.affinity import LARGEST, GaussianGraphs, Rows, check_size
from trustworthy.graphs.labels import Labels, as_labels, read_labels
from trustworthy.graphs.poisoning.trust_region import Quadratic
from trustworthy.graphs.propagation import LabelPropagation
from trustworthy.graphs.solvers import harmonic_operator

Terms = tuple[Float[np.ndarray, "labelled labelled"], Float[np.ndarray, " labelled"]]
KNOWLEDGE: dict[str, None] = {"true": None, "estimated": None}


@dataclass(frozen=True)
class PoisoningResult:
    """Poisoned training data and what they do to the learner.

    labels : (n,) the given labels with the attacked ones changed; unlabelled rows keep their mark.
    features : (n, features) the given features, or the changed ones.
    flipped : rows, ascending, whose label or features were changed.
    objective : value of eq. (1.2) that the attacker reached by its own knowledge; lower is better for it.
    error_before, error_after : RMSE (regression) or share of wrong classes (classification; a tie is wrong) of the
        unlabelled rows: against the truth, or where that is not given against the predictions from clean labels.
    bound : proven upper bound on `error_after` of any attack of the same budget; NaN where none was worked out.
    """

    labels: np.ndarray
    features: Any
    flipped: Int[np.ndarray, " flipped"]
    objective: float
    error_before: float
    error_after: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the attack may be from the worst one."""
        return self.bound - self.error_after


@dataclass(frozen=True)
class PoisoningProblem:
    """Poisoning of a harmonic learner whose predictions are K y_l, or their signs.

    graphs : those of the features, for any width.
    gamma, assumed_gamma : width of the learner's graph, and the attacker's idea of it.
    y : labels as given. labels : how they were read.
    operator : (unlabelled, labelled) the learner's K.
    assumed : (unlabelled, labelled) the attacker's idea of K.
    values : (labelled,) known labels: reals, or -1 for the first class and 1 for the second.
    truth : (unlabelled,) in the same numbers, what errors are measured against.
    aim : (unlabelled,) what the attacker moves predictions from, or to where `towards`.
    """

    graphs: GaussianGraphs
    gamma: float
    assumed_gamma: float
    y: np.ndarray
    labels: Labels
    operator: Float[np.ndarray, "unlabelled labelled"]
    assumed: Float[np.ndarray, "unlabelled labelled"]
    values: Float[np.ndarray, " labelled"]
    truth: Float[np.ndarray, " unlabelled"]
    aim: Float[np.ndarray, " unlabelled"]
    towards: bool

    @classmethod
    @np.errstate(under="ignore")
    def of(
        cls,
        learner: LabelPropagation,
        X: Rows,
        y: ArrayLike,
        *,
        reads: str = "auto",
        truth: ArrayLike | None = None,
        target: ArrayLike | None = None,
        knowledge: str = "true",
        assumed_gamma: float | None = None,
    ) -> Self:
        """Check everything and work out the operators; the arguments are those of the attacks."""
        gamma, task = _width(learner), _task(learner, reads)
        guess = gamma if assumed_gamma is None else checks.real("assumed_gamma", assumed_gamma, above=0.0)
        checks.choice("knowledge", knowledge, KNOWLEDGE)
        rows: Any = check_array(X, dtype=np.float64, accept_sparse="csr", order="C", ensure_min_samples=2)  # pyright: ignore[reportArgumentType]
        check_size(rows)
        labels = read_labels(y, task)
        check_consistent_length(rows, labels.known)
        _check_attackable(labels)
        if truth is None and target is None and knowledge == "true":
            raise InvalidInput(
                'truth must hold the true values of the unlabelled rows where knowledge="true", got None. Pass it, or '
                'use knowledge="estimated".'
            )
        graphs = GaussianGraphs(rows, labels.known, learner.n_neighbors)
        operator = _operator(graphs, "gamma", gamma, learner.solver)
        assumed = operator if guess == gamma else _operator(graphs, "assumed_gamma", guess, learner.solver)
        values = labels.values[:, 0] if labels.classes is None else labels.values @ [-1.0, 1.0]
        right = _squeezed(operator @ values, labels) if truth is None else _encoded("truth", truth, labels)
        if target is not None:
            aim = _encoded("target", target, labels)
        else:
            aim = _squeezed(assumed @ values, labels) if truth is None or knowledge == "estimated" else right
        return cls(
            graphs, gamma, guess, as_labels(y), labels, operator, assumed, values, right, aim, target is not None
        )

    @property
    def classifies(self) -> bool:
        """Whether labels are classes."""
        return self.labels.classes is not None

    @property
    def known(self) -> Int[np.ndarray, " labelled"]:
        """Rows of X that are labelled."""
        return np.flatnonzero(self.labels.known)

    @cached_property
    def terms(self) -> Terms:
        """H and g of what the attacker minimises by a change delta of real labels, ½ deltaᵀ H delta + gᵀ delta.

        It is -½||K (y_l + delta) - aim||², or + towards it, without the constant and by its own idea of K.
        """
        return _terms(self.assumed, self.values, self.aim, 1.0 if self.towards else -1.0)

    @cached_property
    def attacker(self) -> Quadratic:
        """`terms`, ready to be minimised in balls."""
        return Quadratic.of(*self.terms)

    @cached_property
    def worst(self) -> Quadratic:
        """The same for an attacker that knows K and the truth: what bounds all of them."""
        same = self.assumed is self.operator and not self.towards and np.array_equal(self.aim, self.truth)
        return self.attacker if same else Quadratic.of(*_terms(self.operator, self.values, self.truth, -1.0))

    @cached_property
    def centralities(self) -> dict[str, Float[np.ndarray, " labelled"]]:
        """What centrality attacks have worked out, by name."""
        return {}

    def squeezed(self, scores: Float[np.ndarray, " unlabelled"]) -> Float[np.ndarray, " unlabelled"]:
        """Predictions g(scores) of eq. (1.2); a score of 0 is counted for the second class."""
        return _squeezed(scores, self.labels)

    @property
    def _tie(self) -> float:
        """Scores up to here, averages of labels of -1 and 1, are a tie but for rounding."""
        return 2 * len(self.values) * float(np.finfo(np.float64).eps)

    def error(self, scores: Float[np.ndarray, " unlabelled"]) -> float:
        """RMSE, or the share of signs that are not the truth; a score of 0, and a row without one, is wrong."""
        if self.classifies:
            return float(np.mean(~(scores * self.truth > self._tie)))
        return float(np.sqrt(np.mean((scores - self.truth) ** 2)))

    def margins(
        self, operator: Float[np.ndarray, "unlabelled labelled"], reference: Float[np.ndarray, " unlabelled"]
    ) -> tuple[Float[np.ndarray, " unlabelled"], Float[np.ndarray, "unlabelled labelled"]]:
        """Scores in the direction of `reference`, and what the flip of each label takes from them."""
        effect = operator * reference[:, None]
        effect *= self.values
        margin = effect.sum(axis=1) - self._tie
        effect *= 2.0
        return margin, effect

    def objective(self, scores: Float[np.ndarray, " unlabelled"]) -> float:
        """Equation (1.2) by the attacker's knowledge: -½||g(scores) - aim||², or + where it moves towards the aim."""
        apart = self.squeezed(scores) - self.aim
        return 0.5 * float(apart @ apart) * (1.0 if self.towards else -1.0)

    def result(self, values: Float[np.ndarray, " labelled"]) -> PoisoningResult:
        """What the learner makes of the labels that an attack has changed to `values`; without a bound."""
        changed = np.flatnonzero(values != self.values)
        labels = self.y.copy()
        if self.labels.classes is None:
            labels = labels.astype(np.float64)
            labels[self.known[changed]] = values[changed]
        else:
            labels[self.known[changed]] = self.labels.classes[(values[changed] > 0).astype(np.int64)]
        return PoisoningResult(
            labels=labels,
            features=self.graphs.X,
            flipped=self.known[changed],
            objective=self.objective(self.assumed @ values),
            error_before=self.error(self.operator @ self.values),
            error_after=self.error(self.operator @ values),
            bound=np.nan,
        )


def _width(learner: LabelPropagation) -> float:
    if not isinstance(learner, LabelPropagation):
        raise InvalidInput(f"learner must be a LabelPropagation, got {type(learner).__name__}.")
    if not isinstance(learner.gamma, str):
        return checks.real("gamma", learner.gamma, above=0.0)
    if not hasattr(learner, "gamma_"):
        raise InvalidInput(f"learner must have a number as gamma, or be fitted, got gamma={learner.gamma!r}. Fit it.")
    return learner.gamma_


def _task(learner: LabelPropagation, reads: str) -> str:
    """How labels are read: as the attack changes them, or as the learner says."""
    if reads != "auto" and learner.task not in ("auto", reads):
        raise InvalidInput(f"learner must have task={reads!r} or 'auto' for this attack, got {learner.task!r}.")
    return learner.task if reads == "auto" else reads


def _squeezed(scores: Float[np.ndarray, " unlabelled"], labels: Labels) -> Float[np.ndarray, " unlabelled"]:
    return scores if labels.classes is None else np.where(scores < 0.0, -1.0, 1.0)


def _terms(
    operator: Float[np.ndarray, "unlabelled labelled"],
    values: Float[np.ndarray, " labelled"],
    reference: Float[np.ndarray, " unlabelled"],
    sign: float,
) -> Terms:
    residual = operator @ values - reference
    if (np.abs(residual) <= len(values) * np.finfo(np.float64).eps * np.abs(values).max()).all():
        residual = np.zeros_like(residual)  # what rounding leaves must not choose a direction
    return sign * (operator.T @ operator), sign * (operator.T @ residual)


def _check_attackable(labels: Labels) -> None:
    """Refuse labels that leave nothing to attack."""
    if labels.known.all():
        mark = "NaN, as -1 is a value in regression" if labels.classes is None else "-1, or NaN if floating"
        raise InvalidInput(
            f"y must leave some rows unlabelled ({mark}), got a label for each: poisoning acts on their predictions. "
            "Hide some labels and pass them as truth."
        )
    if labels.classes is not None and len(labels.classes) != 2:
        raise InvalidInput(
            f"y must hold two classes, got {len(labels.classes)}: {labels.classes.tolist()[:10]}. Take a pair, or one "
            "class against the rest."
        )


def _operator(graphs: GaussianGraphs, name: str, gamma: float, solver: str) -> Float[np.ndarray, "unlabelled labelled"]:
    graph = graphs.split(gamma)
    lost = np.flatnonzero(~graphs.known)[~graph.reached]
    if len(lost):
        sparse = "" if graphs.n_neighbors is None else ", or raise n_neighbors"
        raise InvalidInput(
            f"{name} is so large that the graph falls apart: at {gamma:g}, {len(lost)} unlabelled rows of X (the first "
            f"is row {lost[0]}) are joined to no label, even through others. Lower {name} or scale X down"
            f"{sparse}."
        )
    return harmonic_operator(graph, solver)


def _encoded(name: str, given: ArrayLike, labels: Labels) -> Float[np.ndarray, " unlabelled"]:
    """Values of the unlabelled rows in the numbers of `values`."""
    count = int((~labels.known).sum())
    try:
        values = np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise InvalidInput(f"{name} must have shape ({count},), got a ragged list.") from error
    if values.shape != (count,):
        raise InvalidInput(
            f"{name} must have shape ({count},), a value for each unlabelled row in their order, got {values.shape}."
        )
    if labels.classes is None:
        try:
            numbers = values.astype(np.float64, casting="unsafe" if values.dtype.kind != "c" else "safe")
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{name} must hold real numbers, got {values.dtype}.") from error
        if (np.abs(numbers[np.isfinite(numbers)]) > LARGEST).any():
            raise InvalidInput(f"{name} must lie within {LARGEST:g} of 0, got larger ones. Scale the labels down.")
        if not np.isfinite(numbers).all():
            raise InvalidInput(f"{name} must be finite, got NaN or infinity. Leave those rows out of X, y and {name}.")
        return numbers
    first, second = labels.classes.tolist()
    if not np.isin(values, labels.classes).all():
        strange = values[~np.isin(values, labels.classes)]
        raise InvalidInput(f"{name} must hold the classes of y, {first!r} and {second!r}, got {strange[:5].tolist()}.")
    return np.where(values == second, 1.0, -1.0)
