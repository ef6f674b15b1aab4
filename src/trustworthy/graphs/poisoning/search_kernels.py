"""The compiled loops of the search for label flips. Effects are in C order: a node's effects lie side by side.

The searches call them with margins (unlabelled,), effects (unlabelled, labelled) and the extremes low, high
(unlabelled,) of each row of effects; counts and flips (numbers of labels) come out.

A node that no single flip can decide is skipped as a whole: only the rows of the others are read. Whole arrays are
filled and compared in plain loops, which run as fast and compile several times faster than NumPy's broadcasting.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_SHARPNESS = 4.0  # of the soft margin: it is half of what it can be at a margin of 1 / 4
_ROUNDING = 1e-12  # by how much a mean soft margin must fall to count as lower


@njit(cache=True)
def _soft(margin):
    scaled = _SHARPNESS * margin
    return scaled / (1.0 + abs(scaled))


@njit(cache=True)
def softness(margin):
    """Mean of the soft margins s / (1 + |s|), s = 4 margin, in (-1, 1): what decides between equally many broken nodes.

    Unlike a hinge or a tanh with a steep slope it is nowhere flat to rounding, so that it tells two flips apart on any
    plateau, and nodes far from the boundary still weigh; and it takes one division, no exponential.
    """
    total = 0.0
    for i in range(len(margin)):
        total += _soft(margin[i])
    return total / len(margin)


@njit(cache=True)
def count_broken(margin):
    """Number of margins that are not positive."""
    count = 0
    for i in range(len(margin)):
        count += margin[i] <= 0.0
    return count


@njit(cache=True)
def flip(margin, effect, label, sign):
    """Change margins in place by flipping one label (sign 1) or taking the flip back (sign -1)."""
    for i in range(len(margin)):
        margin[i] -= sign * effect[i, label]


@njit(cache=True)
def flipped(margin, effect, flips):
    """Margins after the flips, which are taken in the given order."""
    left = margin.copy()
    for label in flips:
        flip(left, effect, label, 1.0)
    return left


@njit(cache=True)
def prefix_counts(margin, effect, ranking):
    """Broken nodes after the first 0, 1, ... flips of a ranking."""
    left, counts = margin.copy(), np.empty(len(ranking) + 1, np.int64)
    counts[0] = count_broken(left)
    for k in range(len(ranking)):
        flip(left, effect, ranking[k], 1.0)
        counts[k + 1] = count_broken(left)
    return counts


@njit(cache=True)
def count_each(margin, effect, low, high, counts):
    """Fill counts with the broken nodes after one more flip, of each of the last labels, as many as there are counts.

    low, high: extremes of each row of effects. A number of the first label would be compiled twice, for 0 as well.
    """
    first, always = effect.shape[1] - len(counts), 0
    for j in range(len(counts)):
        counts[j] = 0
    for i in range(len(margin)):
        left = margin[i]
        if left <= low[i]:
            always += 1
        elif left <= high[i]:
            row = effect[i, first:]  # loops over whole slices are compiled to wide instructions
            for j in range(len(counts)):
                counts[j] += left <= row[j]
    for j in range(len(counts)):
        counts[j] += always


@njit(cache=True)
def soften_each(margin, effect, labels):
    """Mean soft margins after one more flip, of each of some labels."""
    values = np.zeros(len(labels))
    for i in range(len(margin)):
        left, row = margin[i], effect[i]
        for k in range(len(labels)):
            values[k] += _soft(left - row[labels[k]])
    for k in range(len(labels)):
        values[k] /= len(margin)
    return values


@njit(cache=True)
def equals(counts, most):
    """Labels whose count is `most`."""
    labels, found = np.empty(len(counts), np.int64), 0
    for j in range(len(counts)):
        if counts[j] == most:
            labels[found] = j
            found += 1
    return labels[:found]


@njit(cache=True)
def greedy_path(margin, effect, low, high, budget, patient):
    """The flips in the order in which they are taken.

    A patient walk breaks ties by the soft margin and goes on to the end of the budget. The other stops where no flip
    breaks one node more, and takes the first of equals.
    """
    left, counts = margin.copy(), np.empty(effect.shape[1], np.int64)
    path, broken = np.empty(budget, np.int64), count_broken(left)
    for step in range(budget):
        count_each(left, effect, low, high, counts)
        for taken in path[:step]:
            counts[taken] = -1
        label = np.argmax(counts)
        if patient:
            tied = equals(counts, counts[label])
            if len(tied) > 1:
                label = tied[np.argmin(soften_each(left, effect, tied))]
        elif counts[label] <= broken:
            return path[:step]
        path[step], broken = label, counts[label]
        flip(left, effect, label, 1.0)
    return path


@njit(cache=True)
def best_of_size(margin, effect, low, high, best, chosen):
    """Look at all sets of len(chosen) flips in lexicographic order, and write the first one that beats all before.

    Margins are kept for each depth of the set; the last flip is tried for all labels in one pass. Returns the largest
    count of broken nodes, `best` if no set has more.
    """
    size, labels = len(chosen), effect.shape[1]
    prefix, counts = np.arange(size - 1), np.empty(labels, np.int64)
    levels = np.empty((size, len(margin)))
    for i in range(len(margin)):
        levels[0, i] = margin[i]
    depth = 0
    while depth >= 0:
        for d in range(depth, size - 1):
            for i in range(len(margin)):
                levels[d + 1, i] = levels[d, i] - effect[i, prefix[d]]
        first = prefix[size - 2] + 1 if size > 1 else 0
        count_each(levels[size - 1], effect, low, high, counts[first:])
        label = first + np.argmax(counts[first:])
        if counts[label] > best:
            best = counts[label]
            for d in range(size - 1):
                chosen[d] = prefix[d]
            chosen[size - 1] = label
        depth = size - 2
        while depth >= 0 and prefix[depth] == labels - size + depth:
            depth -= 1
        if depth >= 0:
            prefix[depth] += 1
            for d in range(depth + 1, size - 1):
                prefix[d] = prefix[d - 1] + 1
    return best


@njit(cache=True)
def best_move(margin, effect, low, high, flips, budget):
    """The flip to take back and the flip to add, -1 for neither, that give the most broken nodes.

    Equal counts go to the lowest soft margin. (-1, -1) where no flip, no way back and no swap is better than staying.
    """
    best, lowest = count_broken(margin), softness(margin) - _ROUNDING
    leaving, coming = -1, -1
    counts = np.empty(effect.shape[1], np.int64)
    for k in range(-1 if len(flips) < budget else 0, len(flips)):
        left, out = margin.copy(), -1
        if k >= 0:
            out = flips[k]
            flip(left, effect, out, -1.0)
            count = count_broken(left)
            if count > best or (count == best and softness(left) < lowest):
                best, lowest, leaving, coming = count, softness(left), out, -1
        count_each(left, effect, low, high, counts)
        for taken in flips:
            counts[taken] = -1
        most = counts[np.argmax(counts)]
        if most < best or most < 0:
            continue
        tied = equals(counts, most)
        values = soften_each(left, effect, tied)
        label = np.argmin(values)
        if most > best or values[label] < lowest:
            best, lowest, leaving, coming = most, values[label], out, tied[label]
    return leaving, coming
