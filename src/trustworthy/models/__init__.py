"""Models as people have them: read from files, and asked in one way, from a batch of floats to logits."""

from trustworthy.models.adapt import Adapted, adapt
from trustworthy.models.estimator import EstimatorScores, is_estimator
from trustworthy.models.loading import LoadedModel, load_model
from trustworthy.models.outputs import Form, Reading, read
from trustworthy.models.posterior_folder import Recipe, save_posterior

__all__ = [
    "Adapted",
    "EstimatorScores",
    "Form",
    "LoadedModel",
    "Reading",
    "Recipe",
    "adapt",
    "is_estimator",
    "load_model",
    "read",
    "save_posterior",
]
