"""Attacks: what an adversary can do to a model's inputs, and how far an evaluation by attacks can be believed."""

from trustworthy.attacks.apgd import APGD
from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.boundary import BoundaryAttack
from trustworthy.attacks.carlini_wagner import CarliniWagner
from trustworthy.attacks.diagnostics import Check, Diagnosis, diagnose
from trustworthy.attacks.distortion import Bisection, minimal_distortion
from trustworthy.attacks.fgsm import FGSM, RandFGSM, UniformFGSM
from trustworthy.attacks.judgement import FreshDraws, Judgement
from trustworthy.attacks.minimum_norm import MinimumNorm
from trustworthy.attacks.pgd import BIM, PGD
from trustworthy.attacks.pointwise import PointwiseAttack
from trustworthy.attacks.square import SquareAttack
from trustworthy.attacks.sweep import RobustnessCurve, robustness_curve
from trustworthy.attacks.transfer import TransferAffinity, transfer_affinity
from trustworthy.core.result import AttackResult

__all__ = [
    "APGD",
    "BIM",
    "FGSM",
    "PGD",
    "Attack",
    "AttackResult",
    "Bisection",
    "BoundaryAttack",
    "BudgetAttack",
    "CarliniWagner",
    "Check",
    "Diagnosis",
    "FreshDraws",
    "Judgement",
    "MinimumNorm",
    "PointwiseAttack",
    "RandFGSM",
    "RobustnessCurve",
    "SquareAttack",
    "TransferAffinity",
    "UniformFGSM",
    "diagnose",
    "minimal_distortion",
    "robustness_curve",
    "transfer_affinity",
]
