"""Lists of the nearest rows of the own class and of the others, under a linear map.

`ARML` calls `near_lists` once in `refresh` steps and draws its triplets by `Near.sample`; `LMNN` calls it once for its
targets. Rows (n, d), their classes and a map come in, lists of row numbers (anchors, k) and their lengths go out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trustworthy.metric_learning import kernels

_CELLS = 1 << 24  # entries of a block of products: 64 MiB in single precision


@dataclass(frozen=True, eq=False)
class Near:
    """Nearest rows of some anchors, nearest first; a list ends early where its side has fewer rows.

    own : (anchors, k) rows of the anchor's class other than itself, then -1; own_count : (anchors,) how many there are.
    other : (anchors, k) rows of the other classes; other_count : (anchors,).
    """

    own: Int[np.ndarray, "m k"]
    own_count: Int[np.ndarray, " m"]
    other: Int[np.ndarray, "m k"]
    other_count: Int[np.ndarray, " m"]

    def sample(
        self, places: Int[np.ndarray, " m"], rng: np.random.RandomState
    ) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """One row of each list of some anchors, uniformly: randnear+ and randnear- of eq. (3.48).

        places : where the anchors stand among those searched. Each of their lists must hold a row.
        """
        return (
            self.own[places, rng.randint(0, self.own_count[places])],
            self.other[places, rng.randint(0, self.other_count[places])],
        )


def near_lists(
    rows: Float[np.ndarray, "n d"],
    codes: Int[np.ndarray, " n"],
    anchors: Int[np.ndarray, " m"],
    root: Float[np.ndarray, "rank d"],
    count: int,
) -> Near:
    """The `count` nearest rows of either side to each anchor under M = rootᵀ root; ties go to the lower row.

    Distances are one product in the precision of `rows`, which should be centred, so near-ties may swap. A class with
    fewer rows gives what it has. Cost: n d rank and m n rank products, and one look at each of the m n distances.
    """
    mapped = rows @ root.T  # (n, rank)
    norms = np.einsum("ij,ij->i", mapped, mapped)
    own, other = (np.full((len(anchors), count), -1) for _ in range(2))  # (m, k)
    step = max(1, _CELLS // len(rows))
    for start in range(0, len(anchors), step):
        part = slice(start, start + step)
        kernels.two_lists(mapped[anchors[part]] @ mapped.T, norms, codes, anchors[part], own[part], other[part])
    return Near(own, (own >= 0).sum(axis=1), other, (other >= 0).sum(axis=1))
