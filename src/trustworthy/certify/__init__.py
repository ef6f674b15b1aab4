"""Certificates of neural networks: distances within which no perturbation changes the prediction, and their price."""

from trustworthy.certify.linear_bounds import certify_linear, linear_bounds
from trustworthy.certify.smoothing import RandomizedSmoothing
from trustworthy.core.certificate import Certificate

__all__ = ["Certificate", "RandomizedSmoothing", "certify_linear", "linear_bounds"]
