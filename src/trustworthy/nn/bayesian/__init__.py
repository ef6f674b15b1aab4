"""Bayesian networks: weights with a mean-field Gaussian posterior, made of any network by `to_bayesian`."""

from trustworthy.nn.bayesian.convert import to_bayesian
from trustworthy.nn.bayesian.divergence import collapsed, kl
from trustworthy.nn.bayesian.layer import BayesianLayer
from trustworthy.nn.bayesian.layers import (
    BayesianBatchNorm1d,
    BayesianBatchNorm2d,
    BayesianBatchNorm3d,
    BayesianConv1d,
    BayesianConv2d,
    BayesianConv3d,
    BayesianConvTranspose1d,
    BayesianConvTranspose2d,
    BayesianConvTranspose3d,
    BayesianLinear,
)
from trustworthy.nn.bayesian.priors import GaussianMixture, GaussianPrior, Prior, SpikeAndSlab

__all__ = [
    "BayesianBatchNorm1d",
    "BayesianBatchNorm2d",
    "BayesianBatchNorm3d",
    "BayesianConv1d",
    "BayesianConv2d",
    "BayesianConv3d",
    "BayesianConvTranspose1d",
    "BayesianConvTranspose2d",
    "BayesianConvTranspose3d",
    "BayesianLayer",
    "BayesianLinear",
    "GaussianMixture",
    "GaussianPrior",
    "Prior",
    "SpikeAndSlab",
    "collapsed",
    "kl",
    "to_bayesian",
]
