"""Uncertainty: ways to train a model that knows when it does not know, and what can be said on top of any of them.

posterior = NaiveEnsemble(epochs=20).fit(make_model, (x, y), validation=(x_held, y_held), checkpoints="run")
"""

from trustworthy.uncertainty.action import Review, review
from trustworthy.uncertainty.batch import BatchEnsemble
from trustworthy.uncertainty.ensembling import Ensembling
from trustworthy.uncertainty.fast import FastEnsemble
from trustworthy.uncertainty.handoff import Handoff, handoff_threshold
from trustworthy.uncertainty.mc_dropout import MCDropout
from trustworthy.uncertainty.method import Lesson, Method, Trained
from trustworthy.uncertainty.methods import METHODS
from trustworthy.uncertainty.naive import NaiveEnsemble
from trustworthy.uncertainty.parts import Parts, decompose, predict_parts
from trustworthy.uncertainty.sgld import SGLD
from trustworthy.uncertainty.snapshot import SnapshotEnsemble
from trustworthy.uncertainty.temperature import fit_temperature, tempered
from trustworthy.uncertainty.tiles import TiledPrediction, predict_tiled
from trustworthy.uncertainty.variational import SVI

__all__ = [
    "METHODS",
    "SGLD",
    "SVI",
    "BatchEnsemble",
    "Ensembling",
    "FastEnsemble",
    "Handoff",
    "Lesson",
    "MCDropout",
    "Method",
    "NaiveEnsemble",
    "Parts",
    "Review",
    "SnapshotEnsemble",
    "TiledPrediction",
    "Trained",
    "decompose",
    "fit_temperature",
    "handoff_threshold",
    "predict_parts",
    "predict_tiled",
    "review",
    "tempered",
]
