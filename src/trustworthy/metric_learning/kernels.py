"""The compiled loops of metric learning: neighbour lists, hinges of triplets, and Bregman projections.

`two_lists` is called by `near`, `hinges` by `lmnn`, `project_block` by `itml`, each once a block: products of
rows come in, from one matrix product, and the arrays named in the docstrings are filled or changed in place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from trustworthy.neighbors.exact_kernels import insert


@njit(cache=True)
def two_lists(products, norms, codes, anchors, own, other):
    """Fill the lists of the nearest rows of the own class and of the others from products of mapped rows.

    products (m, n) : of anchors and rows; norms (n,), codes (n,) : squared lengths and classes of the rows;
    anchors (m,) : which rows the anchors are. own (m, k), other (m, k) : of -1, which stay where a list ends early.
    """
    size = own.shape[1]
    near, far = np.empty(size, products.dtype), np.empty(size, products.dtype)
    two, endless = products.dtype.type(2), products.dtype.type(np.inf)
    for i in range(len(anchors)):
        near[:], far[:] = endless, endless
        code = codes[anchors[i]]
        for j in range(len(norms)):
            distance = norms[j] - two * products[i, j]  # without the anchor's own norm, which is the same for all
            if codes[j] != code:
                insert(far, other[i], distance, j)
            elif j != anchors[i]:
                insert(near, own[i], distance, j)


@njit(cache=True)
def hinges(products, norms, codes, first, starts, reach, active):
    """Sum of the hinges of all triplets of a block of anchors; the block becomes how many of each pair's are active.

    products (block, n) : of mapped rows; `first` is the row that the block begins with.
    starts (n + 1,) : where the targets of each row begin; reach (targets,) : their squared distances plus the margin.
    active (targets,) : grows by the active triplets of each target.
    Returns the sum and how many entries of the block are not 0.
    """
    total, filled = 0.0, 0
    for b in range(len(products)):
        i = first + b
        limit = 0.0
        for t in range(starts[i], starts[i + 1]):
            limit = max(limit, reach[t])
        for j in range(len(norms)):
            distance = norms[i] + norms[j] - 2.0 * products[b, j]
            count = 0
            if distance < limit and codes[j] != codes[i]:
                for t in range(starts[i], starts[i + 1]):
                    if distance < reach[t]:
                        total += reach[t] - distance
                        active[t] += 1
                        count += 1
            products[b, j] = count
            filled += count > 0
    return total, filled


@njit(cache=True)
def project_block(gram, similar, bounds, duals, gamma, mixed):
    """Bregman projections of ITML on each pair of a block in turn, in the span of the block.

    gram (b, b) : products of the pairs' differences under the matrix A that the block begins with.
    similar (b,) : 1 for similar pairs, -1 for dissimilar ones. bounds (b,), duals (b,) : slack bounds and multipliers,
    changed in place. mixed (b, b) : becomes S such that the block ends with A + (AV) S (AV)ᵀ, V the differences.
    """
    size = len(bounds)
    mixed[:] = 0.0
    for i in range(size):
        # (AV) weights = the current matrix times the difference of pair i.
        weights = mixed @ gram[i]
        weights[i] += 1.0
        distance = np.dot(gram[i], weights)
        if not distance > 0.0:
            continue
        sign = similar[i]
        # The step after which distance and bound agree, 1/distance - sign step = 1/bound + sign step / gamma.
        step = min(duals[i], sign * gamma / (gamma + 1.0) * (1.0 / distance - 1.0 / bounds[i]))
        duals[i] -= step
        scale = sign * step / (1.0 - sign * step * distance)
        bounds[i] = 1.0 / (1.0 / bounds[i] + sign * step / gamma)
        for a in range(size):
            for b in range(size):
                mixed[a, b] += scale * weights[a] * weights[b]
