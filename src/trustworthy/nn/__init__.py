"""Layers that every network of the library is made of, and the networks themselves in `backbones`."""

from trustworthy.nn import backbones
from trustworthy.nn.normalize import Normalize
from trustworthy.nn.replace import Rule, replaced

__all__ = ["Normalize", "Rule", "backbones", "replaced"]
