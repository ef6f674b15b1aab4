"""Layers that every network of the library is made of, and the networks themselves in `backbones`."""

from trustworthy.nn import backbones
from trustworthy.nn.normalize import Normalize

__all__ = ["Normalize", "backbones"]
