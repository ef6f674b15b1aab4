"""Layers that every network of the library is made of, and the networks themselves in `backbones`."""

from trustworthy.nn import backbones
from trustworthy.nn.bayesian import collapsed, kl, to_bayesian
from trustworthy.nn.bounded_relu import BoundedReLU, bound_relu
from trustworthy.nn.image_to_image import ImageToImage
from trustworthy.nn.noise import BernoulliGaussianNoise, GaussianNoise, PersistentDropout, add_noise, persist_dropout
from trustworthy.nn.normalize import Normalize
from trustworthy.nn.replace import Rule, replaced
from trustworthy.nn.transforms import TRANSFORMS
from trustworthy.nn.translator import Translator, to_type, translate
from trustworthy.nn.unet import UNet, depth_for, fnet

__all__ = [
    "TRANSFORMS",
    "BernoulliGaussianNoise",
    "BoundedReLU",
    "GaussianNoise",
    "ImageToImage",
    "Normalize",
    "PersistentDropout",
    "Rule",
    "Translator",
    "UNet",
    "add_noise",
    "backbones",
    "bound_relu",
    "collapsed",
    "depth_for",
    "fnet",
    "kl",
    "persist_dropout",
    "replaced",
    "to_bayesian",
    "to_type",
    "translate",
]
