"""Explanations of predictions, judged by how robust the prediction is to changes of what they call relevant.

attribution = GreedyAS()(model, x)    # scores and order of the features of each example
compare({"greedy-as": GreedyAS(), "gradient": Gradient()}, model, x).table()
"""

from trustworthy.explain.attribution import Attribution, Rule
from trustworthy.explain.certified import certified_robustness
from trustworthy.explain.compare import Best, Chance, Comparison, Result, Row, compare
from trustworthy.explain.criteria import CRITERIA, as_criterion
from trustworthy.explain.criteria.criterion import Area, Criterion, Curve, Judged
from trustworthy.explain.criteria.infidelity import Infidelity
from trustworthy.explain.criteria.masking import Masking
from trustworthy.explain.criteria.robustness import SubsetRobustness
from trustworthy.explain.criteria.sensitivity import MaxSensitivity
from trustworthy.explain.explainer import Explainer, Question, Score, Scored
from trustworthy.explain.groups import Cover, Groups, Partition, as_groups, superpixels
from trustworthy.explain.methods.anchors import Anchors
from trustworthy.explain.methods.bbmp import BBMP
from trustworthy.explain.methods.counterfactual import Counterfactual
from trustworthy.explain.methods.greedy import Greedy, GreedyAS
from trustworthy.explain.methods.one_at_a_time import Gradient, LeaveOneOut
from trustworthy.explain.methods.path import ExpectedGradients, IntegratedGradients
from trustworthy.explain.methods.random_order import RandomOrder
from trustworthy.explain.methods.shap import ExactSHAP, KernelSHAP, PermutationSHAP
from trustworthy.explain.robustness import Distances, Robustness
from trustworthy.explain.sanity import Sanity, sanity

METHODS: dict[str, type[Explainer]] = {
    "anchors": Anchors,
    "bbmp": BBMP,
    "cfx": Counterfactual,
    "eg": ExpectedGradients,
    "gradient": Gradient,
    "ig": IntegratedGradients,
    "greedy": Greedy,
    "greedy-as": GreedyAS,
    "loo": LeaveOneOut,
    "random": RandomOrder,
    "shap": KernelSHAP,
    "shap-exact": ExactSHAP,
    "shap-permutation": PermutationSHAP,
}
"""By the names at public doors."""

__all__ = [
    "BBMP",
    "CRITERIA",
    "METHODS",
    "Anchors",
    "Area",
    "Attribution",
    "Best",
    "Chance",
    "Comparison",
    "Counterfactual",
    "Cover",
    "Criterion",
    "Curve",
    "Distances",
    "ExactSHAP",
    "ExpectedGradients",
    "Explainer",
    "Gradient",
    "Greedy",
    "GreedyAS",
    "Groups",
    "Infidelity",
    "IntegratedGradients",
    "Judged",
    "KernelSHAP",
    "LeaveOneOut",
    "Masking",
    "MaxSensitivity",
    "Partition",
    "PermutationSHAP",
    "Question",
    "RandomOrder",
    "Result",
    "Robustness",
    "Row",
    "Rule",
    "Sanity",
    "Score",
    "Scored",
    "SubsetRobustness",
    "as_criterion",
    "as_groups",
    "certified_robustness",
    "compare",
    "sanity",
    "superpixels",
]
