"""Metric learning, literally as its equations are printed, one pair and one triplet at a time."""

import numpy as np
import torch
from scipy.optimize import brentq


def squared(a, b, metric):
    """Eq. (3.37)."""
    return (a - b) @ metric @ (a - b)


def margin(own, other, x, metric):
    """Eq. (3.45)."""
    gap = own - other
    return (squared(x, other, metric) - squared(x, own, metric)) / (2 * np.sqrt(gap @ metric.T @ metric @ gap))


def near(rows, codes, anchor, metric, count, *, same):
    """The `count` nearest rows of the anchor's class without itself, or of the other classes; nearest first."""
    fit = [j for j in range(len(rows)) if (codes[j] == codes[anchor]) == same and j != anchor]
    return sorted(fit, key=lambda j: (squared(rows[anchor], rows[j], metric), j))[:count]


TORCH_LOSSES = {
    "negative": lambda margin: -margin,
    "hinge": lambda margin: torch.relu(1 - margin),
    "exponential": lambda margin: torch.exp(-margin),
    "logistic": lambda margin: torch.log1p(torch.exp(-margin)),
}


def arml_steps(rows, triplets, root, *, loss, learning_rate):
    """Updates of Algorithm 7 with given triplets (steps of three index arrays), by automatic differentiation.

    Returns the root after the last step and the loss before each.
    """
    x = torch.as_tensor(rows)
    root = torch.tensor(root, requires_grad=True)
    optimizer = torch.optim.Adam([root], lr=learning_rate)
    values = []
    for anchor, own, other in triplets:
        metric = root.T @ root
        to_own, to_other, gap = x[anchor] - x[own], x[anchor] - x[other], x[own] - x[other]

        def distance(d, metric=metric):
            return torch.einsum("ni,ij,nj->n", d, metric, d)

        length = torch.einsum("ni,ij,nj->n", gap, metric.T @ metric, gap).clamp(min=1e-6).sqrt()
        value = TORCH_LOSSES[loss]((distance(to_other) - distance(to_own)) / (2 * length)).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    return root.detach().numpy(), values


def lmnn_objective(rows, codes, targets, root, push):
    """Pull and push of large margin nearest neighbours, over all targets and all impostors. targets : row -> rows."""
    metric = root.T @ root
    pull = hinge = 0.0
    for i, near_rows in enumerate(targets):
        for j in near_rows:
            reach = squared(rows[i], rows[j], metric)
            pull += reach
            for l in range(len(rows)):  # noqa: E741
                if codes[l] != codes[i]:
                    hinge += max(0.0, 1 + reach - squared(rows[i], rows[l], metric))
    return (1 - push) * pull + push * hinge


def local_scatters(rows, codes, n_neighbors):
    """Scatters of local Fisher discriminant analysis as sums over all pairs of rows."""
    n, d = rows.shape
    scale = np.empty(n)
    for i in range(n):
        own = sorted(np.linalg.norm(rows[i] - rows[j]) for j in range(n) if codes[j] == codes[i] and j != i)
        scale[i] = own[min(n_neighbors, len(own)) - 1] if own else 0.0
    between, within = np.zeros((d, d)), np.zeros((d, d))
    for i in range(n):
        for j in range(n):
            gap = rows[i] - rows[j]
            outer = np.outer(gap, gap) / 2
            if codes[i] != codes[j]:
                between += outer / n
            elif i != j:
                size = (codes == codes[i]).sum()
                affinity = np.exp(-(gap @ gap) / (scale[i] * scale[j]))
                within += affinity / size * outer
                between += affinity * (1 / n - 1 / size) * outer
    return between, within


def itml(gaps, similar, lower, upper, gamma, sweeps):
    """Algorithm 1 of Davis et al. (2007), one pair after the other, each step found by its own equation.

    Returns the matrix. The step makes the distance of the pair equal to its slack bound, unless its multiplier ends
    at 0 before that: 1 / p' = 1 / p - sign alpha and gamma / xi' = gamma / xi + sign alpha.
    """
    matrix = np.eye(gaps.shape[1])
    slack = [lower if s > 0 else upper for s in similar]
    duals = [0.0] * len(gaps)
    for _ in range(sweeps):
        for i, (gap, sign) in enumerate(zip(gaps, similar, strict=True)):
            distance = gap @ matrix @ gap

            def excess(a, p=distance, b=slack[i], s=sign):
                return (1 / p - s * a) - (1 / b + s * a / gamma)

            reach = abs(1 / distance) + abs(1 / slack[i])
            alpha = min(duals[i], brentq(excess, -reach, reach, xtol=1e-15, rtol=1e-14))
            beta = sign * alpha / (1 - sign * alpha * distance)
            slack[i] = gamma / (gamma / slack[i] + sign * alpha)
            duals[i] -= alpha
            matrix = matrix + beta * matrix @ np.outer(gap, gap) @ matrix
    return matrix
