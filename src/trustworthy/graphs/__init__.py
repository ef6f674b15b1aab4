"""Graph-based semi-supervised learning, its poisoning, and certificates against it (chapter 1). NumPy and SciPy."""

from trustworthy.graphs.manifold import ManifoldRegularization
from trustworthy.graphs.poisoning.certificate import certify_flips
from trustworthy.graphs.propagation import LabelPropagation

__all__ = ["LabelPropagation", "ManifoldRegularization", "certify_flips"]
