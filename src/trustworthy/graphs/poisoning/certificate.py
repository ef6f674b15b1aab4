"""What no attack on the labels can exceed: flips that a prediction withstands, and errors that a budget can cause."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.graphs.poisoning.collective import most_broken

_CELLS = 1 << 22  # entries of a block of rows: 32 MiB
_EPS = float(np.finfo(np.float64).eps)


def certify_flips(operator: ArrayLike, y_labelled: ArrayLike) -> Int[np.ndarray, " unlabelled"]:
    """Smallest number of flipped labels that changes the sign of each score of K y.

    A flip of label j takes 2 K_ij y_j off score i, so the worst k flips are those of the k largest contributions of
    the score's own sign: a sort of each row gives the exact answer. A score of zero is a tie, and a tie is a change.
    Sums are compared to within their rounding, 4 n_l eps times the sum of the magnitudes of the row, and in doubt
    they tie: the answer is exact for the numbers given, up to ties to the last digits, and never too large.

    operator : (n_u, n_l) finite matrix K of `LabelPropagation`; entries may have any sign.
    y_labelled : (n_l,) labels in {-1, +1}.

    Returns (n_u,) whole numbers from 1 to n_l, and n_l + 1 where no set of flips changes the sign. A score that is a
    tie to begin with is changed by 1 flip, unless its row is zero. Raises InvalidInput. Cost:
    O(n_u n_l log n_l), in blocks of rows.
    """
    matrix = _finite("operator", operator, ("n_u", "n_l"))
    labels = _finite("y_labelled", y_labelled, ("n_l",))
    if labels.shape != matrix.shape[1:]:
        raise InvalidInput(
            f"y_labelled must have one label for each of the {matrix.shape[1]} columns of operator, got {len(labels)}."
        )
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise InvalidInput(
            "y_labelled must hold -1 and +1 alone, got "
            f"{labels[~np.isin(labels, (-1.0, 1.0))][0]:g}. Code the two classes as -1 and +1."
        )
    flips = np.empty(len(matrix), np.int64)
    for rows in gen_batches(len(matrix), max(1, _CELLS // matrix.shape[1])):
        largest = np.abs(matrix[rows]).max(axis=1)
        contribution = matrix[rows] / np.where(largest > 0, largest, 1.0)[:, None] * labels  # no sum overflows
        score = contribution.sum(axis=1)
        found = flips_needed(np.abs(score), 2 * np.where(score < 0, -1.0, 1.0)[:, None] * contribution)
        flips[rows] = np.where(largest > 0, np.maximum(found, 1), matrix.shape[1] + 1)
    return flips


def flips_needed(margin: Float[np.ndarray, " n_u"], effect: Float[np.ndarray, "n_u n_l"]) -> Int[np.ndarray, " n_u"]:
    """Smallest number of flips that breaks each node: margin_i - sum of effect_ij over the flips <= 0.

    0 where the node is broken already, n_l + 1 where no set of flips breaks it. Sums within rounding of the margin
    reach it.
    """
    needed = np.empty(len(margin), np.int64)
    for rows in gen_batches(len(effect), max(1, _CELLS // effect.shape[1])):
        reached = np.cumsum(np.sort(np.maximum(effect[rows], 0.0), axis=1)[:, ::-1], axis=1)  # by the worst flips
        goal = safe_margin(margin[rows], effect[rows])
        needed[rows] = np.where(goal > 0, 1 + np.count_nonzero(reached < goal[:, None], axis=1), 0)
    return needed


def certified_errors(margin: ArrayLike, effect: ArrayLike, budgets: ArrayLike) -> Float[np.ndarray, " budgets"]:
    """Share of the nodes that flips of at most c labels can break, bounded from above, for each c of `budgets`.

    A node is broken by the set F where margin_i - sum of effect_ij over F <= 0. One set breaks them all, which
    `collective.most_broken` makes use of; the bound is never above the share of the nodes that some set of c flips of
    their own would break.

    margin : (n_u,) signed scores t_i (K y)_i; nodes with a margin <= 0 count as broken.
    effect : (n_u, n_l) what the flip of label j takes off margin i, 2 t_i K_ij y_j; any sign.
    budgets : whole numbers from 0 to n_l.

    Returns (budgets,) shares in [0, 1], whole numbers of nodes divided by n_u, not decreasing in the budget. Raises
    InvalidInput. Cost: some hundred products with `effect`, or fewer, per budget up to the
    largest; a few copies of it in memory.
    """
    effect = _finite("effect", effect, ("n_u", "n_l"))
    margin = _finite("margin", margin, ("n_u",))
    if len(margin) != len(effect):
        raise InvalidInput(
            f"margin must have one entry for each of the {len(effect)} rows of effect, got {len(margin)}."
        )
    if np.ndim(budgets) != 1:
        raise InvalidInput(f"budgets must be a list of whole numbers, got {budgets!r}.")
    flips = [
        checks.integer("budgets", budget, at_least=0, at_most=effect.shape[1]) for budget in np.array(budgets).tolist()
    ]
    largest = max(flips, default=0)
    needed = flips_needed(margin, effect)
    reach = np.flatnonzero((needed > 0) & (needed <= largest))
    goal = safe_margin(margin[reach], effect[reach])
    most = np.count_nonzero(needed == 0) + most_broken(goal, effect[reach], needed[reach], largest)
    return most[flips] / len(margin)


def safe_margin(margin: Float[np.ndarray, " n"], effect: Float[np.ndarray, "n n_l"]) -> Float[np.ndarray, " n"]:
    """The margins less all that rounding may have added to them or to sums of effects that are compared to them.

    A sum of n_l numbers is wrong by at most n_l eps / 2 times the sum of their magnitudes, whatever its order. The
    margin, the sum of the effects and the effects that are small enough to leave out are three such errors.
    """
    magnitude = np.abs(margin) + np.abs(effect).sum(axis=1)
    return margin - 4 * effect.shape[1] * _EPS * magnitude


def _finite(name: str, value: ArrayLike, axes: tuple[str, ...]) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must be an array of numbers ({', '.join(axes)}), got {value!r}.") from error
    if array.ndim != len(axes) or not array.size:
        raise InvalidInput(f"{name} must be a non-empty array ({', '.join(axes)}), got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InvalidInput(
            f"{name} must be finite, got NaN or inf. Leave out the unlabelled nodes that no labelled node reaches."
        )
    return array
