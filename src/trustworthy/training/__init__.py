"""Training: one loop on Hugging Face Accelerate, with schedules, augmentation and checkpoints that survive a kill.

history = fit(model, (x, y), epochs=5, validation=(x_test, y_test), checkpoint_dir="runs/plain")
"""

from trustworthy.training.augmentation import Augmentation, crop_and_flip, random_crop, random_flip
from trustworthy.training.data import Batch, Data
from trustworthy.training.evaluation import Metric, evaluate
from trustworthy.training.history import EpochRecord, History
from trustworthy.training.loop import fit
from trustworthy.training.losses import Loss, cross_entropy
from trustworthy.training.schedules import AbstractSchedule, Constant, Cosine, Linear, Phases
from trustworthy.training.state import Callback
from trustworthy.training.weights import load_weights, save_weights

__all__ = [
    "AbstractSchedule",
    "Augmentation",
    "Batch",
    "Callback",
    "Constant",
    "Cosine",
    "Data",
    "EpochRecord",
    "History",
    "Linear",
    "Loss",
    "Metric",
    "Phases",
    "crop_and_flip",
    "cross_entropy",
    "evaluate",
    "fit",
    "load_weights",
    "random_crop",
    "random_flip",
    "save_weights",
]
