"""Attacks on K nearest neighbours: upper bounds on the perturbation that changes the vote, each one verified."""

from trustworthy.neighbors.attacks.descent import CellDescent
from trustworthy.neighbors.attacks.frame import NeighborAttack
from trustworthy.neighbors.attacks.greedy import QPGreedy
from trustworthy.neighbors.attacks.line import Mean, NaiveM
from trustworthy.neighbors.attacks.substitute import Substitute
from trustworthy.neighbors.attacks.top import QPTopM

ATTACKS: dict[str, type[NeighborAttack]] = {
    "qp-top-m": QPTopM,
    "qp-greedy": QPGreedy,
    "naive-m": NaiveM,
    "mean": Mean,
    "substitute": Substitute,
    "cell-descent": CellDescent,
}

__all__ = ["ATTACKS", "CellDescent", "Mean", "NaiveM", "NeighborAttack", "QPGreedy", "QPTopM", "Substitute"]
