"""Defences: ways to train a model that an adversary finds harder to lead astray.

defended = RandomSelfEnsemble(epochs=20)(model, (x, y), validation=(x_held, y_held), checkpoints="run")
"""

from trustworthy.defenses.adversarial_bayes import AdversarialBayes
from trustworthy.defenses.adversarial_training import AdversarialTraining, CleanOrAdversarial, Trades
from trustworthy.defenses.defense import Defense, goal_of
from trustworthy.defenses.distillation import DefensiveDistillation
from trustworthy.defenses.methods import METHODS
from trustworthy.defenses.noise import BoundedReLUTraining, RandomSelfEnsemble
from trustworthy.defenses.watch import Watch

__all__ = [
    "METHODS",
    "AdversarialBayes",
    "AdversarialTraining",
    "BoundedReLUTraining",
    "CleanOrAdversarial",
    "Defense",
    "DefensiveDistillation",
    "RandomSelfEnsemble",
    "Trades",
    "Watch",
    "goal_of",
]
