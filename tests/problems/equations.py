"""Equations whose solutions are known."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from trustworthy.integrate import Terms


def decay(t, y):
    return -y


def blow_up(t, y):
    """From y_0 at 0 to infinity at 1 / y_0."""
    return y * y


def stiff(t, y):
    return -1e5 * (y - math.cos(t))


def driven_pendulum(t, y):
    angle, speed = y.unbind(-1)
    return torch.stack([speed, -torch.sin(angle) + 0.3 * math.cos(t)], -1)


@dataclass(frozen=True)
class GeometricBrownianMotion:
    """dy = mu y dt + sigma y dB, eq. (2.38) with mu = 1."""

    mu: float = 0.5
    sigma: float = 0.6

    @property
    def terms(self):
        return Terms(drift=lambda t, y: self.mu * y, diffusion=lambda t, y: self.sigma * y)

    @property
    def mixed(self):
        """The same motion driven by two, whose variances add up."""
        weights = torch.tensor([0.8, 0.6], dtype=torch.float64) * self.sigma
        return Terms(drift=lambda t, y: self.mu * y, diffusion=lambda t, y: y[..., None] * weights, brownian_motions=2)

    def at(self, t, motion):
        """From 1, where the Brownian motion is at `motion`."""
        return torch.exp((self.mu - self.sigma**2 / 2) * t + self.sigma * motion)

    def mean(self, t):
        return math.exp(self.mu * t)

    def variance(self, t):
        return math.exp(2 * self.mu * t) * math.expm1(self.sigma**2 * t)


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """dy = -theta y dt + sigma dB."""

    theta: float = 1.5
    sigma: float = 0.4

    @property
    def terms(self):
        return Terms(drift=lambda t, y: -self.theta * y, diffusion=lambda t, y: self.sigma)

    def mean(self, t):
        """From 1."""
        return math.exp(-self.theta * t)

    def variance(self, t):
        return -math.expm1(-2 * self.theta * t) * self.sigma**2 / (2 * self.theta)


def order(errors: list[Any], ratio: float = 2.0) -> float:
    """Least-squares slope of log(error) against log(step), where each step is `ratio` times smaller than the last."""
    logs = torch.tensor(errors, dtype=torch.float64).log() / math.log(ratio)
    places = torch.arange(len(errors), dtype=torch.float64)
    places -= places.mean()
    return -float((places * logs).sum() / places.square().sum())
