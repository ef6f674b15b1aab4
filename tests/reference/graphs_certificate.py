"""Flips of labels by looking at every set of them, in exact arithmetic, and the relaxed covering problem in SciPy."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog


def sign(value):
    return (value > 0) - (value < 0)


def fewest_flips(operator, y_labelled):
    """Of each row: the smallest set of flips after which the sign of its score is another; n_l + 1 where none is."""
    n_labelled = len(y_labelled)
    fewest = []
    for row in operator:
        terms = [Fraction(float(entry)) * int(label) for entry, label in zip(row, y_labelled, strict=True)]
        before = sign(sum(terms))
        fewest.append(
            next(
                (
                    size
                    for size in range(1, n_labelled + 1)
                    for flips in combinations(range(n_labelled), size)
                    if sign(sum(-term if j in flips else term for j, term in enumerate(terms))) != before
                ),
                n_labelled + 1,
            )
        )
    return np.array(fewest)


def most_errors(margin, effect, budget):
    """The largest share of nodes with margin - sum of effects <= 0 that any set of at most `budget` flips reaches."""
    margins = [Fraction(float(m)) for m in margin]
    effects = [[Fraction(float(e)) for e in row] for row in effect]
    worst = 0
    for size in range(budget + 1):
        for flips in combinations(range(effect.shape[1]), size):
            worst = max(
                worst, sum(m - sum(row[j] for j in flips) <= 0 for m, row in zip(margins, effects, strict=True))
            )
    return worst / len(margin)


def relaxed_cover(weights, budget):
    """max sum of z with z <= 1, z <= W f, 0 <= f <= 1, sum f <= budget, as a linear programme."""
    n, columns = weights.shape
    rows = sp.hstack([sp.eye(n), sp.csr_array(-weights)])
    total = sp.csr_array(np.r_[np.zeros(n), np.ones(columns)][None])
    found = linprog(
        -np.r_[np.ones(n), np.zeros(columns)],
        A_ub=sp.vstack([rows, total]),
        b_ub=np.r_[np.zeros(n), budget],
        bounds=(0, 1),
        method="highs",
    )
    return -found.fun
