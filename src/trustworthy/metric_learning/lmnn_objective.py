"""The objective of large margin nearest neighbours over all triplets, and its gradient.

`LMNN` builds it of rows, classes and target lists (of `near`), and L-BFGS calls `value_and_gradient` with one map after
the other: (rank, d) comes in, a number and (rank, d) go out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from trustworthy.metric_learning import kernels

_CELLS = 1 << 23  # entries of a block of products: 64 MiB in double precision
_SPARSE = 0.05  # share of a block's pairs with an active triplet below which their sum is sparse


class LMNNObjective:
    """(1 - mu) Σ d(i, j) + mu Σ [1 + d(i, j) - d(i, l)]+ over targets j of i and rows l of other classes.

    d are squared distances under the map; eqs. (11)-(13) of Weinberger and Saul (2009).

    rows : (n, d), centred. codes : (n,). targets : (n, k), of which the first `counts` (n,) are set. push : mu.
    """

    def __init__(
        self,
        rows: Float[np.ndarray, "n d"],
        codes: Int[np.ndarray, " n"],
        targets: Int[np.ndarray, "n k"],
        counts: Int[np.ndarray, " n"],
        push: float,
    ) -> None:
        self._rows, self._codes, self._push = rows, codes, push
        self._starts = np.r_[0, np.cumsum(counts)]  # (n + 1,)
        self._anchors = np.repeat(np.arange(len(rows)), counts)  # (pairs,) and so the targets, row by row
        self._targets = targets[np.arange(targets.shape[1]) < counts[:, None]]

    def value_and_gradient(self, root: Float[np.ndarray, "rank d"]) -> tuple[float, Float[np.ndarray, "rank d"]]:
        """Objective and its gradient in the map, by products of blocks of rows with all rows."""
        mapped = self._rows @ root.T  # (n, rank)
        gaps = mapped[self._anchors] - mapped[self._targets]  # (pairs, rank)
        distances = np.einsum("ij,ij->i", gaps, gaps)
        total, active, weighted, sums = self._impostors(mapped, distances + 1.0)
        value = (1.0 - self._push) * distances.sum() + self._push * total
        # Each pair (a, b) of weight w adds w (a - b)(a - b)ᵀ; all of them are a Laplacian between the rows.
        n = len(self._rows)
        weights = (1.0 - self._push) + self._push * active
        pulls = sparse.csr_array((weights, self._targets, self._starts), shape=(n, n))
        degrees = pulls.sum(axis=1) + pulls.sum(axis=0) - self._push * sums
        half = self._rows.T @ (degrees[:, None] / 2 * self._rows - (pulls @ self._rows - self._push * weighted))
        return float(value), (2.0 * root) @ (half + half.T)

    def _impostors(
        self, mapped: Float[np.ndarray, "n rank"], reach: Float[np.ndarray, " targets"]
    ) -> tuple[float, Int[np.ndarray, " targets"], Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Sum of hinges, active triplets of each target, W rows, and the row plus column sums of W.

        W (n, n) counts the active triplets of each pair of a row and its impostor.
        """
        norms = np.einsum("ij,ij->i", mapped, mapped)
        total, active = 0.0, np.zeros(len(reach), np.int64)
        weighted, sums = np.zeros_like(self._rows), np.zeros(len(mapped))
        step = max(1, _CELLS // len(mapped))
        for start in range(0, len(mapped), step):
            part = slice(start, start + step)
            counts = mapped[part] @ mapped.T  # (block, n): products, which `hinges` turns into counts
            hinges, filled = kernels.hinges(counts, norms, self._codes, start, self._starts, reach, active)
            total += hinges
            if filled == 0:
                continue
            pairs = sparse.csr_array(counts) if filled < _SPARSE * counts.size else counts
            weighted[part] = pairs @ self._rows
            sums[part] += counts.sum(axis=1)
            sums += counts.sum(axis=0)
        return total, active, weighted, sums
