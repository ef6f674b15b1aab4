"""Explanations of predictions, judged by how robust the prediction is to changes of what they call relevant.

attribution = GreedyAS()(model, x)    # scores and order of the features of each example
compare({"greedy-as": GreedyAS(), "gradient": Gradient()}, model, x).table()
"""

from trustworthy.explain.attribution import Attribution, Rule
from trustworthy.explain.compare import Comparison, compare
from trustworthy.explain.criteria import (
    CRITERIA,
    Area,
    Criterion,
    Curve,
    Infidelity,
    Judged,
    Masking,
    MaxSensitivity,
    SubsetRobustness,
    as_criterion,
    robustness_curve,
)
from trustworthy.explain.explainer import Explainer, Question, Score, Scored
from trustworthy.explain.groups import Cover, Groups, Partition, as_groups, superpixels
from trustworthy.explain.methods.anchors import Anchors
from trustworthy.explain.methods.gradient import Gradient
from trustworthy.explain.methods.greedy import Greedy
from trustworthy.explain.methods.greedy_as import GreedyAS
from trustworthy.explain.methods.leave_one_out import LeaveOneOut
from trustworthy.explain.methods.random_order import RandomOrder
from trustworthy.explain.robustness import Distances, Robustness

METHODS: dict[str, type[Explainer]] = {
    "anchors": Anchors,
    "gradient": Gradient,
    "greedy": Greedy,
    "greedy-as": GreedyAS,
    "loo": LeaveOneOut,
    "random": RandomOrder,
}
"""By the names at public doors."""

__all__ = [
    "CRITERIA",
    "METHODS",
    "Anchors",
    "Area",
    "Attribution",
    "Comparison",
    "Cover",
    "Criterion",
    "Curve",
    "Distances",
    "Explainer",
    "Gradient",
    "Greedy",
    "GreedyAS",
    "Groups",
    "Infidelity",
    "Judged",
    "LeaveOneOut",
    "Masking",
    "MaxSensitivity",
    "Partition",
    "Question",
    "RandomOrder",
    "Robustness",
    "Rule",
    "Score",
    "Scored",
    "SubsetRobustness",
    "as_criterion",
    "as_groups",
    "compare",
    "robustness_curve",
    "superpixels",
]
