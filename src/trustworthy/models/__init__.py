"""Models as people have them: asked in one way, from a batch of floats to logits."""

from trustworthy.models.adapt import Adapted, adapt
from trustworthy.models.estimator import EstimatorScores, is_estimator
from trustworthy.models.outputs import Form, Reading, read

__all__ = ["Adapted", "EstimatorScores", "Form", "Reading", "adapt", "is_estimator", "read"]
