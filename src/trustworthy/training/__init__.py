"""Training: one loop on Hugging Face Accelerate, with schedules, augmentation and checkpoints that survive a kill.

history = fit(model, (x, y), epochs=5, validation=(x_test, y_test), checkpoints="runs/plain")
"""

from trustworthy.training.augmentation import (
    Augmentation,
    CropAndFlip,
    GaussianNoise,
    SameCropAndTurn,
    random_crop,
    random_flip,
)
from trustworthy.training.checkpoint import Checkpoints
from trustworthy.training.data import Batch, Collate, Data
from trustworthy.training.evaluation import Metric, OfDraws, OfModel, PerExample, evaluate
from trustworthy.training.fit import fit
from trustworthy.training.langevin import Langevin
from trustworthy.training.likelihoods import Categorical, Gaussian, Laplace, Likelihood
from trustworthy.training.losses import Loss, cross_entropy
from trustworthy.training.moment import Moment
from trustworthy.training.run import Callback, Engine, EpochRecord, History
from trustworthy.training.schedules import AbstractSchedule, Constant, Cosine, CyclicCosine, Linear, Phases
from trustworthy.training.weights import load_weights, save_weights

__all__ = [
    "AbstractSchedule",
    "Augmentation",
    "Batch",
    "Callback",
    "Categorical",
    "Checkpoints",
    "Collate",
    "Constant",
    "Cosine",
    "CropAndFlip",
    "CyclicCosine",
    "Data",
    "Engine",
    "EpochRecord",
    "Gaussian",
    "GaussianNoise",
    "History",
    "Langevin",
    "Laplace",
    "Likelihood",
    "Linear",
    "Loss",
    "Metric",
    "Moment",
    "OfDraws",
    "OfModel",
    "PerExample",
    "Phases",
    "SameCropAndTurn",
    "cross_entropy",
    "evaluate",
    "fit",
    "load_weights",
    "random_crop",
    "random_flip",
    "save_weights",
]
