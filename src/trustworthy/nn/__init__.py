"""Layers that every network of the library is made of, and the networks themselves in `backbones`."""

from trustworthy.nn import backbones
from trustworthy.nn.batch_ensemble import BatchEnsembled, batch_ensemble
from trustworthy.nn.bayesian import collapsed, kl, to_bayesian
from trustworthy.nn.bounded_relu import BoundedReLU, bound_relu
from trustworthy.nn.dropout import PersistentDropout, persist_dropout
from trustworthy.nn.ensemble import Ensemble, ensemble
from trustworthy.nn.image_to_image import ImageToImage
from trustworthy.nn.noise import BernoulliGaussianNoise, GaussianNoise, add_noise
from trustworthy.nn.normalize import Normalize
from trustworthy.nn.replace import Rule, replaced
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.nn.translator import Translator, to_type, translate
from trustworthy.nn.unet import UNet, depth_for, fnet

__all__ = [
    "TRANSFORMS",
    "BatchEnsembled",
    "BernoulliGaussianNoise",
    "BoundedReLU",
    "Ensemble",
    "GaussianNoise",
    "ImageToImage",
    "Normalize",
    "PersistentDropout",
    "Rule",
    "Translator",
    "UNet",
    "add_noise",
    "backbones",
    "batch_ensemble",
    "bound_relu",
    "collapsed",
    "depth_for",
    "ensemble",
    "fnet",
    "kl",
    "persist_dropout",
    "replaced",
    "to_bayesian",
    "to_type",
    "translate",
]
