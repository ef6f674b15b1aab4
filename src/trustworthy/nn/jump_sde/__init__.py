"""Networks of continuous depth with noise: neural ordinary, stochastic and jump-diffusion equations (section 2.3)."""

from trustworthy.nn.jump_sde.drift import Drift, TimeConv
from trustworthy.nn.jump_sde.network import SOLVERS, JumpSDE, jump_sde
from trustworthy.nn.jump_sde.noises import (
    NOISES,
    Additive,
    BernoulliDropout,
    DriftMultiplicative,
    GaussianDropout,
    Learned,
    Multiplicative,
    Noise,
    NoNoise,
    StochasticDepth,
)

__all__ = [
    "NOISES",
    "SOLVERS",
    "Additive",
    "BernoulliDropout",
    "Drift",
    "DriftMultiplicative",
    "GaussianDropout",
    "JumpSDE",
    "Learned",
    "Multiplicative",
    "NoNoise",
    "Noise",
    "StochasticDepth",
    "TimeConv",
    "jump_sde",
]
