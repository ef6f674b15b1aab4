"""Explanations of predictions, judged by how robust the prediction is to changes of what they call relevant.

attribution = GreedyAS()(model, x)    # scores and order of the features of each example
"""

from trustworthy.explain.attribution import Attribution, Rule
from trustworthy.explain.explainer import Explainer, Question, Score, Scored
from trustworthy.explain.groups import Cover, Groups, Partition, as_groups, superpixels
from trustworthy.explain.methods.anchors import Anchors
from trustworthy.explain.methods.gradient import Gradient
from trustworthy.explain.methods.leave_one_out import LeaveOneOut
from trustworthy.explain.methods.random_order import RandomOrder
from trustworthy.explain.robustness import Distances, Robustness

METHODS: dict[str, type[Explainer]] = {
    "anchors": Anchors,
    "gradient": Gradient,
    "loo": LeaveOneOut,
    "random": RandomOrder,
}
"""By the names at public doors."""

__all__ = [
    "METHODS",
    "Anchors",
    "Attribution",
    "Cover",
    "Distances",
    "Explainer",
    "Gradient",
    "Groups",
    "LeaveOneOut",
    "Partition",
    "Question",
    "RandomOrder",
    "Robustness",
    "Rule",
    "Score",
    "Scored",
    "as_groups",
    "superpixels",
]
