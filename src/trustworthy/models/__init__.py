"""Models as people have them: read from files, and asked in one way, from a batch of floats to logits."""

from trustworthy.models.adapt import Adapted, adapt
from trustworthy.models.estimator import EstimatorScores, is_estimator
from trustworthy.models.loading import LoadedModel, load_model
from trustworthy.models.outputs import Form, Reading, read
from trustworthy.models.posterior_folder import Recipe, save_posterior
from trustworthy.models.reads_texts import ReadsTexts
from trustworthy.models.word_classifier import WordClassifier, split_words

__all__ = [
    "Adapted",
    "EstimatorScores",
    "Form",
    "LoadedModel",
    "Reading",
    "ReadsTexts",
    "Recipe",
    "WordClassifier",
    "adapt",
    "is_estimator",
    "load_model",
    "read",
    "save_posterior",
    "split_words",
]
