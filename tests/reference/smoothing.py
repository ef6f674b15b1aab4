"""Randomised smoothing by the book: one draw after another, SciPy's exact binomial intervals and tests."""

from __future__ import annotations

import math

import torch
from scipy.stats import binomtest, norm


def count(model, example, sigma, draws, classes, generator):
    """Predictions of `draws` noisy copies of one example, one forward pass each."""
    counts = [0] * classes
    for _ in range(draws):
        noise = torch.empty_like(example).normal_(generator=generator)
        counts[int(model((example + sigma * noise)[None]).argmax())] += 1
    return counts


def certify(model, example, *, sigma, n0, n, alpha, classes, generator):
    """(class, radius), or (-1, 0.0) for abstention."""
    counts = count(model, example, sigma, n0, classes, generator)
    chosen = counts.index(max(counts))
    hits = count(model, example, sigma, n, classes, generator)[chosen]
    two_sided = binomtest(hits, n).proportion_ci(confidence_level=1 - 2 * alpha, method="exact")
    return (chosen, sigma * norm.ppf(two_sided.low)) if two_sided.low > 0.5 else (-1, 0.0)


def predict(model, example, *, sigma, n, alpha, classes, generator):
    """The most frequent class, or -1 where it could be chance that it beats the second."""
    counts = count(model, example, sigma, n, classes, generator)
    second, first = sorted(counts)[-2:]
    rejected = binomtest(first, first + second, 0.5).pvalue <= alpha
    return counts.index(first) if rejected else -1


def linear_radius(margin, weight, sigma):
    """Probability of the nearer side and the true distance, for a linear two-class margin of a smoothed model."""
    length = float(weight.norm())
    return norm.cdf(margin / (sigma * length)), math.fabs(margin) / length
