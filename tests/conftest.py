"""Every test is also a shape test: annotations of the library are enforced while the tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

CHECKED = (
    "attacks",
    "certify",
    "core",
    "datasets",
    "graphs.affinity",
    "graphs.centrality",
    "graphs.labels",
    "graphs.laplacian_least_squares",
    "graphs.poisoning.attack",
    "graphs.poisoning.baselines",
    "graphs.poisoning.bounds",
    "graphs.poisoning.certificate",
    "graphs.poisoning.classification",
    "graphs.poisoning.collective",
    "graphs.poisoning.coverage",
    "graphs.poisoning.curve",
    "graphs.poisoning.feature_gradient",
    "graphs.poisoning.feature_search",
    "graphs.poisoning.features",
    "graphs.poisoning.gradient_path",
    "graphs.poisoning.methods",
    "graphs.poisoning.probabilistic",
    "graphs.poisoning.regression",
    "graphs.poisoning.relaxed",
    "graphs.poisoning.result",
    "graphs.poisoning.search",
    "graphs.poisoning.sparse",
    "graphs.poisoning.trust_region",
    "graphs.solvers",
    "graphs.width",
    "metric_learning.lmnn_objective",
    "metric_learning.margin",
    "metric_learning.near",
    "metric_learning.pairs",
    "metrics",
    "neighbors.attacks.frame",
    "neighbors.attacks.greedy",
    "neighbors.attacks.mean",
    "neighbors.attacks.top",
    "neighbors.exact",
    "neighbors.geometry",
    "neighbors.linear_program",
    "neighbors.metric",
    "neighbors.qp",
    "nn",
    "report",
    "training",
)
install_import_hook([f"trustworthy.{name}" for name in CHECKED], "typecheck.checked")

import pytest
import torch
from hypothesis import settings

import typecheck

torch.set_num_threads(1)
# The same examples on every run, and no deadline: the first call of a metric may import scikit-learn.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _afresh() -> None:
    torch.manual_seed(0)
    typecheck.check_again()
