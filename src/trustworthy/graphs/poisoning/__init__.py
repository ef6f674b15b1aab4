"""Attacks on the labels and features that a graph learner is trained on, and what no attack can exceed."""

from trustworthy.graphs.poisoning.attack import LabelAttack, PoisoningAttack, error_bounds
from trustworthy.graphs.poisoning.baselines import CentralityAttack, RandomLabelAttack
from trustworthy.graphs.poisoning.certificate import certified_errors, certify_flips
from trustworthy.graphs.poisoning.classification import METHODS, ClassificationLabelAttack
from trustworthy.graphs.poisoning.curve import PoisoningCurve, poisoning_curve
from trustworthy.graphs.poisoning.features import FeatureAttack
from trustworthy.graphs.poisoning.gradient_path import algorithm_1
from trustworthy.graphs.poisoning.local_search import LocalSearch
from trustworthy.graphs.poisoning.probabilistic import Probabilistic, ReleasedProbabilistic
from trustworthy.graphs.poisoning.problem import PoisoningProblem, PoisoningResult
from trustworthy.graphs.poisoning.regression import RegressionLabelAttack
from trustworthy.graphs.poisoning.search import Exhaustive, FlipSearch, Greedy, Relaxed, ReleasedGreedy
from trustworthy.graphs.poisoning.sparse import maximize_sparse, sparse_bound
from trustworthy.graphs.poisoning.trust_region import Quadratic, minimize_in_ball

__all__ = [
    "METHODS",
    "CentralityAttack",
    "ClassificationLabelAttack",
    "Exhaustive",
    "FeatureAttack",
    "FlipSearch",
    "Greedy",
    "LabelAttack",
    "LocalSearch",
    "PoisoningAttack",
    "PoisoningCurve",
    "PoisoningProblem",
    "PoisoningResult",
    "Probabilistic",
    "Quadratic",
    "RandomLabelAttack",
    "RegressionLabelAttack",
    "Relaxed",
    "ReleasedGreedy",
    "ReleasedProbabilistic",
    "algorithm_1",
    "certified_errors",
    "certify_flips",
    "error_bounds",
    "maximize_sparse",
    "minimize_in_ball",
    "poisoning_curve",
    "sparse_bound",
]
