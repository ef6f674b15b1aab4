"""Layers that every network of the library is made of, and the networks themselves in `backbones`."""

from trustworthy.nn import backbones
from trustworthy.nn.batch_ensemble import BatchEnsembled, batch_ensemble
from trustworthy.nn.bayesian import collapsed, kl, to_bayesian
from trustworthy.nn.bounded_relu import BoundedReLU, bound_relu
from trustworthy.nn.dropout import PersistentDropout, persist_dropout
from trustworthy.nn.ensemble import Ensemble, ensemble
from trustworthy.nn.noise import BernoulliGaussianNoise, GaussianNoise, add_noise
from trustworthy.nn.normalize import Normalize
from trustworthy.nn.replace import Rule, replaced
from trustworthy.nn.transforms import TRANSFORMS

__all__ = [
    "TRANSFORMS",
    "BatchEnsembled",
    "BernoulliGaussianNoise",
    "BoundedReLU",
    "Ensemble",
    "GaussianNoise",
    "Normalize",
    "PersistentDropout",
    "Rule",
    "add_noise",
    "backbones",
    "batch_ensemble",
    "bound_relu",
    "collapsed",
    "ensemble",
    "kl",
    "persist_dropout",
    "replaced",
    "to_bayesian",
]
