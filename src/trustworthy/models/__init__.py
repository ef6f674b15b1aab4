"""Models as people have them: read from files, and asked in one way, from a batch of floats to logits."""

from trustworthy.models.adapt import Adapted, adapt
from trustworthy.models.estimator import EstimatorScores, is_estimator
from trustworthy.models.loading import LoadedModel, load_model
from trustworthy.models.outputs import Form, Reading, read

__all__ = [
    "Adapted",
    "EstimatorScores",
    "Form",
    "LoadedModel",
    "Reading",
    "adapt",
    "is_estimator",
    "load_model",
    "read",
]
