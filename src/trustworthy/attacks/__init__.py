"""Attacks: what an adversary can do to a model's inputs, and how far an evaluation by attacks can be believed."""

from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.fgsm import FGSM, RandFGSM
from trustworthy.attacks.pgd import BIM, PGD
from trustworthy.attacks.result import AttackResult

__all__ = ["BIM", "FGSM", "PGD", "Attack", "AttackResult", "BudgetAttack", "RandFGSM"]
