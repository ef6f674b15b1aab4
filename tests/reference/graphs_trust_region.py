"""The trust region problem (1.4), Algorithm 1 and sparse label poisoning, slowly and literally."""

from itertools import combinations

import numpy as np
from scipy.optimize import minimize, minimize_scalar


def objective(H, g, z):
    return 0.5 * z @ H @ z + g @ z


def violations(H, g, radius, point, multiplier):
    """How far a point and multiplier are from the conditions that prove a global minimum, each relative to its terms.

    (H + l I) z = -g; H + l I positive semi-definite; l >= 0; ||z|| <= radius, with equality where l > 0.
    """
    norm, length = np.linalg.norm(H, 2), np.linalg.norm(point)
    stationary = np.linalg.norm(H @ point + multiplier * point + g)
    lowest = np.linalg.eigvalsh(H)[0] + multiplier
    return {
        "stationary": stationary / max((norm + multiplier) * radius + np.linalg.norm(g), 1e-300),
        "semi-definite": max(0.0, -lowest) / max(norm + multiplier, 1e-300),
        "sign": max(0.0, -multiplier),
        "in the ball": max(0.0, length / radius - 1.0),
        "complementary": abs(length / radius - 1.0) if multiplier > 0 else 0.0,
    }


def minimum_by_duality(H, g, radius):
    """The largest value of the Lagrangian dual, which for a ball equals the minimum whatever the sign of H."""
    levels, vectors = np.linalg.eigh(H)
    linear = vectors.T @ g
    floor, span = max(0.0, -levels[0]), np.linalg.norm(g) / radius + 1e-9 * np.abs(levels).max() + 1e-200
    parts = [(gap, part) for gap, part in zip(levels + floor, linear, strict=True) if part != 0.0]

    def negative_dual(share):  # a multiplier just above the floor, up to floor + ||g|| / radius
        above = span * np.exp(share)
        return 0.5 * sum(part**2 / (gap + above) for gap, part in parts) + 0.5 * (floor + above) * radius**2

    grid = np.linspace(-36.0, 0.5, 200)
    best = grid[np.argmin([negative_dual(share) for share in grid])]
    found = minimize_scalar(negative_dual, bounds=(best - 0.2, best + 0.2), method="bounded", options={"xatol": 1e-9})
    return -found.fun


def minimum_by_starts(H, g, radius, rng, starts=20):
    """The best of many local searches with a general solver."""
    ball = {"type": "ineq", "fun": lambda z: radius**2 - z @ z, "jac": lambda z: -2 * z}
    best = 0.0
    for _ in range(starts):
        start = rng.normal(size=len(g))
        start *= radius / np.linalg.norm(start)
        found = minimize(
            lambda z: objective(H, g, z), start, jac=lambda z: H @ z + g, constraints=[ball], method="SLSQP"
        )
        point = found.x * min(1.0, radius / np.linalg.norm(found.x))
        best = min(best, objective(H, g, point))
    return best


def start_of_theorem_1(H, g):
    """z0 for the unit ball, with alpha half of what the theorem allows."""
    alpha = 0.5 * min(1.0, np.linalg.norm(g) ** 3 / abs(g @ H @ g))
    return -alpha * g / np.linalg.norm(g)


def phase_one(H, g, eta):
    """Lines 3 to 7 of Algorithm 1 in the unit ball: the start and every iterate; the last one is outside."""
    iterates = [start_of_theorem_1(H, g)]
    while np.linalg.norm(iterates[-1]) < 1:
        iterates.append(iterates[-1] - eta * (H @ iterates[-1] + g))
    return iterates


def phase_two(H, g, z, steps, *, sigma, shrink, longest):
    """Lines 9 to 13 in the unit ball with Armijo's search by differences of f; the start and every iterate."""
    iterates = [z]
    for _ in range(steps):
        slope = H @ z + g
        tangent = (np.eye(len(g)) - np.outer(z, z)) @ slope
        reach = -z @ slope + H.diagonal().min()
        step = min(longest, 1 / reach) if reach > 0 else longest
        while True:
            moved = (z - step * tangent) / np.linalg.norm(z - step * tangent)
            if objective(H, g, moved) <= objective(H, g, z) - sigma * step * tangent @ tangent:
                break
            step *= shrink
        z = moved
        iterates.append(z)
    return iterates


def lemma_1(H, g, eta):
    """The bound (1.5) on the steps of phase I, with the leading power read as one over the logarithm."""
    levels, vectors = np.linalg.eigh(H)
    lowest, direction = levels[0], vectors[:, 0]
    g1, z1 = g @ direction, start_of_theorem_1(H, g) @ direction
    return (np.log(1 / (eta * abs(g1)) - 1 / (eta * lowest)) - np.log(-z1 / (eta * g1) - 1 / (eta * lowest))) / np.log(
        1 - eta * lowest
    )


def theorem_2(H, g, z, first, sigma, shrink):
    """r_* of Theorem 2 in the unit ball, with the extreme curvatures of f on the sphere at its minimum z."""
    multiplier = -z @ (H @ z + g)
    tangent = np.linalg.svd(z[None])[2][1:].T
    curvatures = np.linalg.eigvalsh(tangent.T @ H @ tangent) + multiplier
    low, high = curvatures[0], curvatures[-1]
    return 1 - min(2 * sigma * first * low, 4 * sigma * (1 - sigma) * shrink * low / high)


def best_support(K, r, radius, count):
    """The largest 1/2 ||K delta + r||² over every support of `count` labels."""
    return 0.5 * r @ r - min(
        minimum_by_duality(-K[:, list(S)].T @ K[:, list(S)], -K[:, list(S)].T @ r, radius)
        for S in combinations(range(K.shape[1]), count)
    )
