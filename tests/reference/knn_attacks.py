"""Attacks on K nearest neighbours as the dissertation prints them, with every constraint and without any screening."""

import numpy as np

from reference.exhaustive_neighbors import shortest


def vote(points, labels, x, n_neighbors, metric):
    squared = np.einsum("ij,jk,ik->i", points - x, metric, points - x)
    return np.bincount(labels[np.lexsort((np.arange(len(points)), squared))[:n_neighbors]]).argmax()


def nearest(points, rows, x, count, metric):
    squared = np.einsum("ij,jk,ik->i", points[rows] - x, metric, points[rows] - x)
    return rows[np.lexsort((rows, squared))[:count]]


def qp_greedy(points, labels, query, code, n_neighbors, metric, *, near="test"):
    """Algorithm 6 with every row of another class as a pivot: size of the shortest feasible solution, or inf."""
    small = (n_neighbors - 1) // 2
    squared = np.einsum("ij,jk,ik->i", points - query, metric, points - query)
    sizes = [np.inf]
    for pivot in np.flatnonzero(labels != code):
        minus, plus = np.flatnonzero(labels == labels[pivot]), np.flatnonzero(labels != labels[pivot])
        inner = nearest(points, minus, points[pivot], small + 1, metric)
        if len(inner) <= small:
            continue
        spared = nearest(points, plus, query if near == "test" else points[pivot], small, metric)
        pairs = [(j, i) for j in inner for i in plus if i not in spared]
        normals = np.array([metric @ (points[j] - points[i]) for j, i in pairs])
        delta = shortest(normals, np.array([(squared[i] - squared[j]) / 2 for j, i in pairs]))
        if delta is not None:
            sizes.append(np.linalg.norm(delta))
    return min(sizes)


def bisected(points, labels, query, code, end, n_neighbors, metric):
    """Length of the step towards query + end at which bisection sees the vote change, or inf."""
    if vote(points, labels, query + end, n_neighbors, metric) == code:
        return np.inf
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if vote(points, labels, query + middle * end, n_neighbors, metric) == code:
            low = middle
        else:
            high = middle
    return high * np.linalg.norm(end)


def naive(points, labels, query, code, n_neighbors, metric, m):
    """Naive-m: the shortest of the ways to the means of the clusters about the m nearest rows of other classes."""
    sizes = []
    for pivot in nearest(points, np.flatnonzero(labels != code), query, m, metric):
        rows = np.flatnonzero(labels == labels[pivot])
        mean = points[nearest(points, rows, points[pivot], (n_neighbors + 1) // 2, metric)].mean(axis=0)
        sizes.append(bisected(points, labels, query, code, mean - query, n_neighbors, metric))
    return min(sizes)


def soft_loss(points, labels, x, code, temperature, metric):
    """Cross-entropy of the soft nearest neighbour."""
    exponent = -np.einsum("ij,jk,ik->i", points - x, metric, points - x) / temperature
    return np.logaddexp.reduce(exponent) - np.logaddexp.reduce(exponent[labels == code])
