"""Label flips by the book: equation (1.6) with signs, every set by itertools, every candidate evaluated afresh."""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
from scipy.linalg import solve
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits


def in_margins(operator, labels, aim):
    """Margin and effect of a binary problem."""
    return aim * (operator @ labels), 2.0 * aim[:, None] * operator * labels


def random_problem(seed, nodes=23, n_labels=8, wrong=0.1):
    """Operator with averages as rows, labels, and aims of which a share is missed from the start."""
    rng = np.random.default_rng(seed)
    operator = rng.dirichlet(np.full(n_labels, 0.5), size=nodes)
    labels = rng.choice([-1.0, 1.0], n_labels)
    return operator, labels, np.sign(operator @ labels) * np.where(rng.random(nodes) < wrong, -1.0, 1.0)


@functools.cache
def digits(pair, n_labels, seed):
    """Margin and effect of label propagation on a pair of scikit-learn's digits, gamma 1."""
    data = load_digits()
    keep = np.flatnonzero(np.isin(data.target, pair))
    rows = keep[np.random.RandomState(seed).permutation(len(keep))]
    x, y = data.data[rows] / 16.0, np.where(data.target[rows] == pair[0], 1.0, -1.0)
    affinity = np.exp(-cdist(x, x, "sqeuclidean"))
    laplacian = np.diag(affinity.sum(axis=1)) - affinity
    operator = solve(laplacian[n_labels:, n_labels:], affinity[n_labels:, :n_labels], assume_a="pos")
    return in_margins(operator, y[:n_labels], y[n_labels:])


def flipped_labels(labels, flips):
    """y o delta."""
    delta = np.ones(len(labels))
    delta[list(flips)] = -1.0
    return labels * delta


def wrong(operator, labels, aim, flips):
    """Nodes whose predicted sign is not the aim; no sign is no aim's."""
    return int(np.sum(np.sign(operator @ flipped_labels(labels, flips)) != aim))


def softness(operator, labels, aim, flips):
    """Mean of s / (1 + |s|) with s four times the margin."""
    s = 4.0 * aim * (operator @ flipped_labels(labels, flips))
    return float(np.mean(s / (1.0 + np.abs(s))))


def all_sets(n_labels, budget):
    """Sets of at most `budget` labels, small ones first."""
    return [flips for size in range(budget + 1) for flips in combinations(range(n_labels), size)]


def best_set(operator, labels, aim, budget):
    """The first set that no other beats."""
    return max(all_sets(len(labels), budget), key=lambda flips: wrong(operator, labels, aim, flips))


def greedy_walk(operator, labels, aim, budget, patient=True):
    """Labels in the order in which they are flipped; one that is not patient stops where no flip helps."""
    walk = []
    for _ in range(budget):
        rest = [j for j in range(len(labels)) if j not in walk]
        counts = [wrong(operator, labels, aim, [*walk, j]) for j in rest]
        if not patient and max(counts) <= wrong(operator, labels, aim, walk):
            break
        tied = [j for j, count in zip(rest, counts, strict=True) if count == max(counts)]
        walk.append(min(tied, key=lambda j: softness(operator, labels, aim, [*walk, j])) if patient else tied[0])
    return walk


def neighbours(n_labels, flips, budget):
    """Sets that differ from one by a flip more, a flip less, or a swap."""
    flips = set(flips)
    rest = [j for j in range(n_labels) if j not in flips]
    more = [flips | {j} for j in rest] if len(flips) < budget else []
    return [
        sorted(found)
        for found in [*more, *({*flips} - {k} for k in flips), *(flips - {k} | {j} for k in flips for j in rest)]
    ]


def z(alpha, gumbel_1, gumbel_2, tau):
    """Equation (1.8) as printed."""
    return 2.0 / (1.0 + np.exp((np.log(alpha / (1.0 - alpha)) + gumbel_1 - gumbel_2) / tau)) - 1.0


def loss(operator, labels, aim, alpha, z, sharpness, penalty):
    """Equation (1.9) for one z, with tanh for g."""
    apart = np.tanh(sharpness * (operator @ (labels * z))) - aim
    return -0.5 * apart @ apart + 0.5 * penalty * alpha @ alpha
