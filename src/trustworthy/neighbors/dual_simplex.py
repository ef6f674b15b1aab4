"""The shortest vector in linf or l1 that satisfies half-spaces, which may come one after the other, and a box."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog

from trustworthy.neighbors import linear_program_kernels as kernels
from trustworthy.neighbors.exact_kernels import precision

_FEASIBLE = 1e-9  # by how much a row of the scaled programme may be violated
_GAP = 1e-9  # relative gap of the dual and the primal value that is put down to rounding
_PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class NotSolved(Exception):
    """No solver could solve a programme, or it has no solution."""


class ShortestVector:
    """min |d| with normals @ d + offsets >= 0 and low <= d <= high, as a programme in variables x >= 0.

    linf, (3.20): d = s (t - x) with the signs s of `direction`, so that x is 0 but for a few coordinates; those with
    no room for t on the side of s get d = s (room - x). The sides that this leaves open are constraints like others.
    l1, (3.21): d = x' - x''.
    Everything is divided by `scale`, a proved lower bound of the optimum. It must not be much smaller than that, since
    all tolerances are relative to it. A compiled dual simplex solves it, since constraints that are added later leave
    the dual feasible; SciPy's HiGHS does where rounding gets in its way.
    """

    def __init__(
        self, linf: bool, direction: Float[np.ndarray, " d"], scale: float, low: np.ndarray, high: np.ndarray
    ) -> None:
        d = len(direction)
        self._linf, self._scale = linf, scale
        self._low, self._high = low / scale, high / scale
        self._sign = np.where(direction < 0, -1.0, 1.0)
        self._room = np.where(self._sign > 0, self._high, -self._low)
        self._with_t = (self._room > 1.0).astype(np.float64)
        self._base = np.where(self._room > 1.0, 0.0, self._room)
        self._width = d + 1 if linf else 2 * d
        self._objective = np.r_[np.zeros(d), 1.0] if linf else np.ones(2 * d)
        self._normals, self._offsets = np.zeros((0, d)), np.zeros(0)  # of the half-spaces, scaled
        self._tilts, self._doubts = np.zeros(0), np.zeros(0)
        self._places = np.zeros(0, np.int64)  # which row of the programme each of them is
        self._count, self._usable = 0, True
        self._rows, self._right = np.zeros((0, self._width)), np.zeros(0)
        self._table, self._cost = np.zeros((0, self._width + 1)), np.r_[self._objective, 0.0]
        self._basic, self._others, self._place = np.zeros(0, np.int64), np.arange(self._width), np.arange(self._width)
        self._reserve(64)

    def add(
        self,
        normals: Float[np.ndarray, "k d"],
        offsets: Float[np.ndarray, " k"],
        tilts: Float[np.ndarray, " k"] | float = 0.0,
        doubts: Float[np.ndarray, " k"] | float = 0.0,
    ) -> None:
        """Add half-spaces; tilts and doubts say by how much an entry of the normal, and the offset, may be wrong."""
        length = np.abs(normals).sum(1) if self._linf else np.abs(normals).max(1)
        apart = length > 0  # rows that the metric cannot tell apart leave no half-space
        tilts, doubts = (np.broadcast_to(part, length.shape)[apart] for part in (tilts, doubts))
        normals, offsets, length = normals[apart], offsets[apart], length[apart]
        normals, offsets = normals / length[:, None], offsets / (length * self._scale)
        self._tilts = np.r_[self._tilts, tilts / length]
        self._doubts = np.r_[self._doubts, doubts / (length * self._scale)]
        self._normals, self._offsets = np.vstack([self._normals, normals]), np.r_[self._offsets, offsets]
        self._places = np.r_[self._places, self._count + np.arange(len(normals))]
        if self._linf:
            signed = normals * self._sign
            rows = np.column_stack([-signed, signed @ self._with_t])
            self._append(rows, -offsets - signed @ self._base)
        else:
            self._append(np.hstack([normals, -normals]), -offsets)

    def solve(self) -> tuple[Float[np.ndarray, " d"], float]:
        """The optimum d, and the size that its multipliers prove, less all that rounding may have added.

        Raises NotSolved.
        """
        while True:
            x, multipliers = self._simplex() if self._usable else self._highs()
            d = self._vector(x)
            weights = multipliers[self._places]
            normal, need = weights @ self._normals, -float(weights @ self._offsets)
            if self._sides(d, x):
                continue
            size = np.abs(d).max() if self._linf else np.abs(d).sum()
            if self._usable and kernels.least(normal, need, self._low, self._high, self._linf, 0.0) < size * (1 - _GAP):
                self._usable = False
                continue
            # The sum of the half-spaces times their multipliers: all solutions have normal . d >= need.
            unit = precision(len(d) + len(weights))
            tilt = float(weights @ (self._tilts + unit * np.abs(self._normals).max(1, initial=0.0)))
            need -= float(weights @ (self._doubts + unit * np.abs(self._offsets)))
            proved = kernels.least(normal, need, self._low, self._high, self._linf, tilt)
            return d * self._scale, proved * self._scale * (1.0 - unit)

    def _vector(self, x: Float[np.ndarray, " width"]) -> Float[np.ndarray, " d"]:
        d = len(self._sign)
        if not self._linf:
            return x[:d] - x[d:]
        return self._sign * (self._base + self._with_t * x[d] - x[:d])

    def _sides(self, d: Float[np.ndarray, " d"], x: Float[np.ndarray, " width"]) -> bool:
        """Add the sides of the box, and of |d| <= t, that d violates; whether there are any."""
        below, above = self._low - d > _FEASIBLE, d - self._high > _FEASIBLE
        places = np.r_[np.flatnonzero(below), np.flatnonzero(above)]
        signs = np.repeat([1.0, -1.0], [below.sum(), above.sum()])
        limits = np.r_[self._low[below], -self._high[above]]
        rows = np.zeros((len(places), self._width))
        each = np.arange(len(places))
        if not self._linf:
            rows[each, places], rows[each, places + len(d)] = signs, -signs
            self._append(rows, limits)
            return len(places) > 0
        signs = signs * self._sign[places]
        rows[each, places], rows[:, -1] = -signs, signs * self._with_t[places]
        self._append(rows, limits - signs * self._base[places])
        # s d >= -t: the other side of the cube.
        beyond = np.flatnonzero(-self._sign * d - x[-1] > _FEASIBLE)
        rows = np.zeros((len(beyond), self._width))
        rows[np.arange(len(beyond)), beyond], rows[:, -1] = -1.0, 1.0 + self._with_t[beyond]
        self._append(rows, -self._base[beyond])
        return len(places) + len(beyond) > 0

    def _append(self, rows: Float[np.ndarray, "k width"], right: Float[np.ndarray, " k"]) -> None:
        if self._count + len(rows) > len(self._rows):
            self._reserve(2 * (self._count + len(rows)))
        for row, least in zip(rows, right, strict=True):
            self._rows[self._count], self._right[self._count] = row, least
            kernels.append(self._table, self._basic, self._place, self._count, row, least)
            self._count += 1

    def _reserve(self, capacity: int) -> None:
        """Make room for more rows."""
        more = capacity - len(self._rows)
        self._rows = np.vstack([self._rows, np.zeros((more, self._width))])
        self._table = np.vstack([self._table, np.zeros((more, self._width + 1))])
        self._right, self._basic, self._place = (
            np.r_[array, np.zeros(more, array.dtype)] for array in (self._right, self._basic, self._place)
        )

    def _simplex(self) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " rows"]]:
        width, count = self._width, self._count
        status = kernels.dual_simplex(
            self._table, self._cost, self._basic, self._others, self._place, count, 50 * (count + 10)
        )
        place = self._place[: width + count]
        values = np.where(place < 0, self._table[np.maximum(-place - 1, 0), width], 0.0)
        x = np.maximum(values[:width], 0.0)
        if status != kernels.SOLVED or (self._rows[:count] @ x - self._right[:count]).min(initial=0.0) < -_FEASIBLE:
            self._usable = False
            return self._highs()
        slack = place[width:]
        return x, np.where(slack >= 0, self._cost[np.maximum(slack, 0)], 0.0)

    def _highs(self) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " rows"]]:
        rows, right = self._rows[: self._count], self._right[: self._count]
        found = linprog(self._objective, -rows, -right, method="highs", options=_PRECISE)
        if found.status != 0:
            raise NotSolved(found.message)
        return found.x, np.maximum(-found.ineqlin.marginals, 0.0)
