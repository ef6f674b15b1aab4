"""Defences: ways to train a model that an adversary finds harder to lead astray.

defended = RandomSelfEnsemble(epochs=20)(model, (x, y), validation=(x_held, y_held), checkpoints="run")
"""

from trustworthy.defenses.adversarial_bayes import AdversarialBayes, VariationalBayes
from trustworthy.defenses.adversarial_training import AdversarialTraining, CleanOrAdversarial, Trades
from trustworthy.defenses.defense import Defended, Defense
from trustworthy.defenses.distillation import DefensiveDistillation
from trustworthy.defenses.likelihoods import Categorical, Gaussian, Likelihood
from trustworthy.defenses.methods import METHODS
from trustworthy.defenses.noise import BoundedReLUTraining, RandomSelfEnsemble
from trustworthy.defenses.watch import Watch

__all__ = [
    "METHODS",
    "AdversarialBayes",
    "AdversarialTraining",
    "BoundedReLUTraining",
    "Categorical",
    "CleanOrAdversarial",
    "Defended",
    "Defense",
    "DefensiveDistillation",
    "Gaussian",
    "Likelihood",
    "RandomSelfEnsemble",
    "Trades",
    "VariationalBayes",
    "Watch",
]
