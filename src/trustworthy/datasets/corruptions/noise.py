"""Gaussian, shot and impulse noise, independent for every value of every image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Images = Float[np.ndarray, "n c h w"]


def gaussian_noise(x: Images, *, sigma: float, rng: np.random.Generator) -> Images:
    """x + N(0, sigma^2)."""
    return x + rng.normal(0.0, sigma, x.shape)


def shot_noise(x: Images, *, photons: float, rng: np.random.Generator) -> Images:
    """Poisson(photons x) / photons, the noise of a sensor that counts `photons` quanta at white."""
    return rng.poisson(x * photons) / photons


def impulse_noise(x: Images, *, amount: float, rng: np.random.Generator) -> Images:
    """Each value becomes 0 with probability amount / 2, and 1 with the same probability."""
    u = rng.uniform(size=x.shape)
    return np.where(u < amount / 2, 0.0, np.where(u < amount, 1.0, x))
