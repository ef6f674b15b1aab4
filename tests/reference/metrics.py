"""The metrics as their definitions read, with loops over examples, pairs, thresholds and orders."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np


def nll(probabilities, labels) -> float:
    return sum(-math.log(row[label]) for row, label in zip(probabilities, labels, strict=True)) / len(labels)


def brier(probabilities, labels) -> float:
    total = 0.0
    for row, label in zip(probabilities, labels, strict=True):
        for k, p in enumerate(row):
            total += (p - (1.0 if k == label else 0.0)) ** 2
    return total / len(labels)


def ece(confidence, right, bins: int) -> float:
    """Eq. 5.3 with bins ((m - 1) / M, m / M], zero in the first; m / M is the double that the literal 0.2 also is."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, c in enumerate(confidence) if (m - 1) / bins < c <= m / bins or (m == 1 and c == 0)]
        if inside:
            acc = sum(bool(right[i]) for i in inside) / len(inside)
            conf = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(acc - conf)
    return total


def auroc(scores, positives) -> float:
    """Share of (positive, negative) pairs in which the positive wins; a tie is half a win."""
    pairs = [
        (p, n)
        for p, is_p in zip(scores, positives, strict=True)
        if is_p
        for n, is_q in zip(scores, positives, strict=True)
        if not is_q
    ]
    return float(
        sum(Fraction(1) if p > n else Fraction(1, 2) if p == n else Fraction(0) for p, n in pairs) / len(pairs)
    )


def roc_points(scores, positives) -> list[tuple[Fraction, Fraction]]:
    """(FPR, TPR) of the rule `score >= threshold`, for every threshold from the highest down, after (0, 0)."""
    total, points = sum(map(bool, positives)), [(Fraction(0), Fraction(0))]
    for threshold in sorted(set(scores), reverse=True):
        chosen = [bool(positive) for score, positive in zip(scores, positives, strict=True) if score >= threshold]
        found = sum(chosen)
        points.append((Fraction(len(chosen) - found, len(scores) - total), Fraction(found, total)))
    return points


def partial_auroc(scores, positives, max_fpr: float) -> float:
    """Exact area of the ROC polygon left of `max_fpr`."""
    area, cut = Fraction(0), Fraction(max_fpr)
    for (x0, y0), (x1, y1) in itertools.pairwise(roc_points(scores, positives)):
        if x0 >= cut:
            break
        if x1 > cut:
            x1, y1 = cut, y0 + (y1 - y0) * (cut - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return float(area)


def average_precision(scores, positives) -> float:
    total, area, recall = sum(map(bool, positives)), Fraction(0), Fraction(0)
    for threshold in sorted(set(scores), reverse=True):
        chosen = [bool(positive) for score, positive in zip(scores, positives, strict=True) if score >= threshold]
        here = Fraction(sum(chosen), total)
        area += (here - recall) * Fraction(sum(chosen), len(chosen))
        recall = here
    return float(area)


def orders(scores):
    """Every order of the examples from the highest score down; equal scores come in every order."""
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            yield order


def true_positives_at(scores, positives, k: int) -> float:
    """|S_1 and S_2| of eq. 5.1, averaged over the orders of ties."""
    return float(np.mean([sum(bool(positives[i]) for i in order[:k]) for order in orders(scores)]))


def aurc(confidence, loss) -> float:
    """Mean over k of the mean loss of the k most confident examples, averaged over the orders of ties."""
    areas = []
    for order in orders(confidence):
        risks = [np.mean([loss[i] for i in order[:k]]) for k in range(1, len(order) + 1)]
        areas.append(np.mean(risks))
    return float(np.mean(areas))


def ssim(a, b, data_range: float) -> float:
    """Wang et al. (2004), one window at a time: 11 x 11 Gaussian weights, deviation 1.5, K1 = 0.01, K2 = 0.03."""
    offsets = np.arange(-5, 6)
    bell = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / np.outer(bell, bell).sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for row, column in itertools.product(range(5, a.shape[0] - 5), range(5, a.shape[1] - 5)):
        p, q = (image[row - 5 : row + 6, column - 5 : column + 6] for image in (a, b))
        mp, mq = (weights * p).sum(), (weights * q).sum()
        vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
        cov = (weights * (p - mp) * (q - mq)).sum()
        values.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def fpr_at_recall(scores, positives, recall: float) -> float:
    """Least FPR among the thresholds whose TPR is enough; `recall` as the fraction that its digits say."""
    return float(min(fpr for fpr, tpr in roc_points(scores, positives) if tpr >= Fraction(str(recall))))


def sparsified(uncertainty, error, kept: int) -> float:
    """Mean error of the `kept` least uncertain examples, averaged over the orders of ties."""
    return float(np.mean([np.mean([error[i] for i in order[-kept:]]) for order in orders(uncertainty)]))


def mean_ranks(values) -> list[float]:
    """1 for the lowest; equal values share the mean of their places."""
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]


def correlation(a, b) -> float:
    a, b = ([x - sum(values) / len(values) for x in values] for values in (a, b))
    dot = lambda p, q: sum(x * y for x, y in zip(p, q, strict=True))  # noqa: E731
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))
